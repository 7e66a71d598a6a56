// The oracle of PipelineTests: Hugging Face's Rust tokenizer, through its npm package. It is needed only to make the committed files again.
//
//   mkdir oracle && cd oracle && npm install tokenizers@0.23.2
//   node ../tests/lora/tokenizers/pipeline/oracle.mjs train ../tests/lora/tokenizers/pipeline      byte-level-bpe.json, unigram.json, cased-wordpiece.json from corpus.txt
//   node ../tests/lora/tokenizers/pipeline/oracle.mjs ids ../tests/lora/tokenizers/pipeline        ids.jsonl: texts, and of their ids by each tokenizer the first half of a
//                                                                               SHA-256 (little-endian int32), alone and before the text behind it as a pair
//
// No tokenizer of a published model is here: these are trained on sentences of our own, in the forms that RoBERTa's and XLM-R's files have.
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { charsmap } from "./charsmap.mjs";

const t = createRequire(process.cwd() + "/")("tokenizers");
const [command, folder] = process.argv.slice(2);
const names = ["byte-level-bpe", "unigram", "cased-wordpiece"];
const special = (content, id, more) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more });

function trained(tokenizer) {
    tokenizer.train([`${folder}/corpus.txt`]);
    tokenizer.save("trained.json");
    return JSON.parse(readFileSync("trained.json", "utf8")).model;
}

// ---- RoBERTa's form: <s> A </s></s> B </s>, a mask that takes the space before it along
function byteLevel() {
    const tokenizer = new t.Tokenizer(t.BPE.init({}, []));
    tokenizer.setPreTokenizer(t.byteLevelPreTokenizer(false));
    const model = trained(tokenizer), frame = ["<s>", "<pad>", "</s>", "<unk>"];
    const merges = model.merges.slice(0, 900).map(m => Array.isArray(m) ? m : m.split(" "));
    const alphabet = t.byteLevelAlphabet().sort(), vocab = {};
    for (const token of [...frame, ...alphabet, ...merges.map(m => m.join(""))]) vocab[token] ??= Object.keys(vocab).length;
    vocab["<mask>"] = Object.keys(vocab).length;
    return {
        version: "1.0", truncation: null, padding: null,
        added_tokens: [...frame.map((f, i) => special(f, i)), special("<mask>", vocab["<mask>"], { lstrip: true })],
        normalizer: null, pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
        post_processor: { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 0], trim_offsets: true, add_prefix_space: false },
        decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
        model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: "", end_of_word_suffix: "", fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
    };
}

// ---- XLM-R's form: NFKC as SentencePiece's character map, runs of spaces as one, Metaspace, Unigram
function unigram() {
    const map = [["\t", " "], ["\n", " "], ["\r", " "], ["\u00a0", " "], ["\u3000", " "], ["\u200b", " "], ["\ufeff", ""], ["\u00ad", ""]];
    const known = new Set(map.map(([key]) => key));
    for (let c = 0xa0; c < 0x1f300; c++) {
        if (c >= 0xac00 && c < 0xd7a4 || c >= 0xd800 && c < 0xe000) continue;
        const s = String.fromCodePoint(c), n = s.normalize("NFKC");
        if (n !== s && !known.has(s)) map.push([s, n]);
        // letters with a mark behind them, which SentencePiece's map has as well
        const d = s.normalize("NFD");
        if (d !== s && d.length === 2 && d.normalize("NFKC") === s && c < 0x1f00) map.push([d, s]);
    }
    const normalizer = t.sequenceNormalizer([t.precompiled([...charsmap(map)]), t.replace(" {2,}", " ")]);
    const tokenizer = new t.Tokenizer(t.Unigram.init([["<unk>", 0]], 0));
    tokenizer.setNormalizer(normalizer);
    tokenizer.setPreTokenizer(t.metaspacePreTokenizer());
    const model = trained(tokenizer), frame = ["<s>", "<pad>", "</s>", "<unk>"];
    const pieces = model.vocab.filter(([piece]) => !frame.includes(piece)).slice(0, 1500);
    const vocab = [...frame.map(f => [f, 0]), ...pieces, ["<mask>", 0]];
    const part = (id, type_id = 0) => ({ SpecialToken: { id, type_id } }), sequence = (id, type_id = 0) => ({ Sequence: { id, type_id } });
    return {
        version: "1.0", truncation: null, padding: { strategy: "BatchLongest", direction: "Right", pad_to_multiple_of: null, pad_id: 1, pad_type_id: 0, pad_token: "<pad>" },
        added_tokens: [...frame.map((f, i) => special(f, i)), special("<mask>", vocab.length - 1, { lstrip: true, normalized: true })],
        normalizer: { type: "Sequence", normalizers: [{ type: "Precompiled", precompiled_charsmap: charsmap(map).toString("base64") }, { type: "Replace", pattern: { Regex: " {2,}" }, content: " " }] },
        pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
        post_processor: {
            type: "TemplateProcessing", single: [part("<s>"), sequence("A"), part("</s>")],
            pair: [part("<s>"), sequence("A"), part("</s>"), part("</s>"), sequence("B"), part("</s>")],
            special_tokens: { "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] }, "</s>": { id: "</s>", ids: [2], tokens: ["</s>"] } },
        },
        decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
        model: { type: "Unigram", unk_id: 3, vocab, byte_fallback: false },
    };
}

// ---- WordPiece that keeps case and strips accents, with another unknown token, and a token of a user's own
function wordPiece() {
    const words = new Set(), vocab = {};
    for (const word of readFileSync(`${folder}/corpus.txt`, "utf8").normalize("NFD").replace(/\p{Mn}/gu, "").split(/[\s\p{P}]+/u)) {
        [...word].forEach((c, i) => words.add(i ? "##" + c : c));
        if (words.size < 2000 && word.length < 5) words.add(word);
    }
    for (const token of ["<pad>", "<unk>", "<cls>", "<sep>", ".", ",", "'", ...[...words].filter(w => w)]) vocab[token] ??= Object.keys(vocab).length;
    const part = (id, type_id) => ({ SpecialToken: { id, type_id } }), sequence = (id, type_id) => ({ Sequence: { id, type_id } });
    return {
        version: "1.0", truncation: null, padding: null,
        added_tokens: [special("<cls>", 2), special("<sep>", 3), special("quiet lake", Object.keys(vocab).length, { single_word: true, special: false, normalized: true })],
        normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: false },
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: {
            type: "TemplateProcessing", single: [part("<cls>", 0), sequence("A", 0), part("<sep>", 0)],
            pair: [part("<cls>", 0), sequence("A", 0), part("<sep>", 0), sequence("B", 1), part("<sep>", 1)],
            special_tokens: { "<cls>": { id: "<cls>", ids: [2], tokens: ["<cls>"] }, "<sep>": { id: "<sep>", ids: [3], tokens: ["<sep>"] } },
        },
        decoder: { type: "WordPiece", prefix: "##", cleanup: true },
        model: { type: "WordPiece", unk_token: "<unk>", continuing_subword_prefix: "##", max_input_chars_per_word: 20, vocab },
    };
}

// ---- texts: sentences, their parts joined at random, odd strings, code points of every block
function texts() {
    let state = 12345;
    const below = n => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % 65536 * n / 65536 | 0;
    const sentences = readFileSync(`${folder}/corpus.txt`, "utf8").trim().split("\n");
    const odd = readFileSync(`${folder}/../nasty-strings.jsonl`, "utf8").trim().split("\n").map(line => JSON.parse(line).text);
    const all = [...sentences, ...odd, "<mask>", "a <mask> b", "a  <mask>b", "<s></s>", "quiet lake", "a quiet lakeside", " quiet lake.", "''s 'S 's", "don't I'LL"];
    const joins = ["", " ", "  ", "\n", "\t ", "\u00a0", "\u200b", " <mask> ", "</s>", "…", "'s "];
    while (all.length < 1600) {
        const parts = [];
        for (let n = 1 + below(4); n > 0; n--) {
            const from = [...all[below(sentences.length + odd.length)]], start = below(from.length + 1);
            parts.push(from.slice(start, start + below(24)).join(""), joins[below(joins.length)]);
        }
        all.push(parts.join(""));
    }
    while (all.length < 2400) {
        let s = "";
        for (let n = 1 + below(10); n > 0; n--) {
            const c = below(4) ? below(0x3000) : below(2) ? below(0xffff) : 0x10000 + below(0x1ffff);
            s += c >= 0xd800 && c < 0xe000 ? " " : String.fromCodePoint(c);
            if (!below(4)) s += " ";
        }
        all.push(s);
    }
    return all.map(s => s.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd"));
}

const hash = ids => createHash("sha256").update(Buffer.from(Int32Array.from(ids).buffer)).digest("hex").slice(0, 32);

async function ids() {
    const all = texts(), lines = [], tokenizers = names.map(name => t.Tokenizer.fromFile(`${folder}/${name}.json`));
    for (let i = 0; i < all.length; i++) {
        const line = { text: all[i], alone: [], paired: [] };
        for (const tokenizer of tokenizers) {
            tokenizer.disablePadding();
            tokenizer.disableTruncation();
            line.alone.push(hash((await tokenizer.encode(all[i])).getIds()));
            tokenizer.setTruncation(16);
            const pair = await tokenizer.encode(all[i], all[(i + 1) % all.length]);
            line.paired.push(hash([...pair.getIds(), ...pair.getTypeIds()]));
        }
        lines.push(JSON.stringify(line).replace(/[\x7f-\uffff]/g, u => "\\u" + u.charCodeAt(0).toString(16).padStart(4, "0")));
    }
    writeFileSync(`${folder}/ids.jsonl`, lines.join("\n") + "\n");
}

const write = (name, value) => writeFileSync(`${folder}/${name}.json`, JSON.stringify(value).replace(/[\x7f-\uffff]/g, u => "\\u" + u.charCodeAt(0).toString(16).padStart(4, "0")) + "\n");
if (command === "train") [byteLevel, unigram, wordPiece].forEach((make, i) => write(names[i], make()));
else if (command === "ids") await ids();
else console.error("commands: train, ids");
