// The oracle of VariantTests: Hugging Face's Rust tokenizer, through its npm package. It is needed only to make the committed files again.
//
//   mkdir oracle && cd oracle && npm install tokenizers@0.23.2
//   node ../tests/lora/tokenizers/pipeline/variants.mjs ../tests/lora/tokenizers/pipeline
//
// Writes variant-texts.jsonl; damages.jsonl: what a file with one value changed gives for some texts (the first line has the values, the others a
// hash for each, - where the file or a text is refused, = where it is no change); and variants.json: how each variant changes one of the committed tokenizers, and of its ids for every hundred texts and
// pairs the first bytes of a SHA-256.
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const t = createRequire(process.cwd() + "/")("tokenizers");
const [folder, start] = process.argv.slice(2);           // start: of damages, in a process of their own
const text = c => String.fromCodePoint(c);

// The same numbers in every run.
function random(seed) {
    return n => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return Math.floor(seed / 4294967296 * n);
    };
}

// ---- sentences of our own, in many scripts

const words = {
    english: "the a old new river garden house letter train winter light music reads writes walks sings finds and but never quietly don't we'll it's 12 2024 Monday",
    german: "der die das alte Brücke Straße Mädchen Fluß größer läuft über unter schön und aber nicht heute Übung Äpfel 3,5 ½",
    french: "le la les été forêt garçon élève château où déjà l'eau qu'il n'est pas très bientôt œuvre À Noël",
    polish: "stary nowy dom rzeka źródło żółty łódź śnieg ćwiczenie ząb pięć gęś też już",
    turkish: "eski yeni ev nehir İstanbul ışık şarkı güneş çocuk öğretmen değil için",
    vietnamese: "ngôi nhà cũ dòng sông mùa đông ánh sáng người đọc viết tiếng Việt được những",
    russian: "старый новый дом река сад письмо поезд зима свет читает пишет и но никогда ёж объём",
    greek: "παλιός νέος σπίτι ποτάμι κήπος γράμμα τρένο χειμώνας φως διαβάζει και αλλά ποτέ Ὀδυσσεύς",
    arabic: "البيت القديم النهر الحديقة الرسالة القطار الشتاء النور يقرأ يكتب ولكن أبدا إلى مُدَرِّس",
    hebrew: "הבית הישן הנהר הגן המכתב הרכבת החורף האור קורא כותב אבל שָׁלוֹם",
    hindi: "पुराना नया घर नदी बगीचा पत्र रेलगाड़ी सर्दी रोशनी पढ़ता लिखता और लेकिन क़लम",
    bengali: "পুরানো নতুন বাড়ি নদী বাগান চিঠি ট্রেন শীত আলো পড়ে লেখে এবং কিন্তু",
    tamil: "பழைய புதிய வீடு ஆறு தோட்டம் கடிதம் ரயில் குளிர் ஒளி படிக்கிறான்",
    thai: "บ้านเก่า แม่น้ำ สวน จดหมาย รถไฟ ฤดูหนาว แสงสว่าง อ่าน เขียน ไม่เคย",
    chinese: "旧的 房子 河流 花园 信件 火车 冬天 光线 阅读 写作 但是 从不 ，今天。",
    japanese: "古い 新しい 家 川 庭 手紙 電車 冬 光 ヨム かく しかし ガギグ ﾊﾝｶｸ です。",
    korean: "오래된 새로운 집 강 정원 편지 기차 겨울 빛 읽는다 쓴다 그러나 결코",
    georgian: "ძველი ახალი სახლი მდინარე ბაღი წერილი მატარებელი ზამთარი",
    amharic: "አሮጌ አዲስ ቤት ወንዝ ደብዳቤ ባቡር ክረምት ብርሃን",
    emoji: "😀 👩‍👩‍👧 🇩🇪 👍🏽 ❤️ ☎️ 🏳️‍🌈 ©️ ™ ① ﬁne Ｆｕｌｌ ²",
};
const lexicon = Object.values(words).map(list => list.split(" "));

function sentence(next) {
    const list = lexicon[next(lexicon.length)], length = 3 + next(9);
    let line = "";
    for (let i = 0; i < length; i++) {
        const word = next(12) ? list[next(list.length)] : lexicon[next(lexicon.length)][0];
        line += (i ? next(25) ? " " : "  " : "") + word + (next(9) ? "" : [",", ".", "!", "?", ";", " –", "…", "»"][next(8)]);
    }
    return line;
}

// ---- odd strings: every kind of character that some step treats in a way of its own

const marks = ["\u0301", "\u0308", "\u0327", "\u0323", "\u0345", "\u093c", "\u094d", "\u3099", "\u05b7", "\u064b", "\u20dd", "\ufe0f", "\u200d", "\u0e31", "\u1161", "\u11a8"];
const spaces = [" ", "  ", "   ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\u0085", "\u000b", "\u2009", "\ufeff", "\u1680", "\u180e"];
const controls = ["\u0000", "\u0001", "\u001f", "\u007f", "\u0080", "\u009f", "\u00ad", "\u200e", "\u202e", "\ufffd", "\ufffe", "\ue000", "\u{10ffff}", "\u0600", "\u06dd", "\u{110bd}", "\u0378", "\u{e0001}"];
const halves = ["\ud800", "\udc00", "\udbff", "\udfff", "\udc00\ud800"];
const letters = ["a", "e", "A", "Å", "é", "ﬁ", "Ａ", "１", "ｶ", "ﾞ", "½", "²", "①", "㍿", "ﷺ", "İ", "ı", "ß", "ẞ", "Σ", "ς", "ǅ", "가", "ᄀ", "각", "क", "क़", "ক", "中", "豈", "𠀀", "😀", "🇩", "©", "™", "ſ", "Ω", "K", "ﬀ", "ￗ", "々", "_", "'", "’", "▁", "Ġ", "<", ">", "<0x41>", "0", "٣", "Ⅷ", "-", "'s", "'re", "'LL", "n't", "…", "``", "''"];
const specials = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "[CLS]", "[SEP]", "[MASK]", "<mask", "<s", "s>", "MASK>", "<extra>", "extra", "Extra", "<Lower>", "<lower>"];

function odd(next) {
    const kinds = [letters, letters, letters, marks, marks, spaces, spaces, controls, halves, specials, ["x", "word", "the"]];
    let s = "";
    for (let n = 1 + next(10); n > 0; n--) {
        const kind = kinds[next(kinds.length)];
        s += kind[next(kind.length)];
    }
    return s;
}

function texts() {
    const next = random(21), list = ["", " ", "  ", "\n", "\t\r\n ", "a", "A", "\u0301", "\u0301a", "\ufeff", "<mask>", " <mask> ", "a <mask> b", "a  <mask>  b", "<mask><mask>", "<s>a</s>", " '", "'s", "a's b'S we're", "1 234 5", "a\u00a0b", "a  b", "a   b", "▁", "▁▁a ▁", "Ġ", "..."];
    for (const n of [1, 2, 7, 8, 99, 100, 101, 500]) for (const c of ["a", "é", " ", "中", "😀", "\n", "\u0301", "ab", "!", "가"]) list.push(c.repeat(n));
    for (const c of [...letters, ...marks, ...spaces, ...controls, ...halves, ...specials]) list.push(c, "a" + c, c + "a", "a" + c + "b", "a " + c + " b", c + c);
    while (list.length < 1700) list.push(sentence(next));
    while (list.length < 3000) list.push(odd(next));
    for (let i = 0; i < 300; i++) {                         // code points of everywhere
        let s = "";
        for (let n = 1 + next(12); n > 0; n--) {
            const c = [next(0x250), next(0x3000), next(0xd800), 0xe000 + next(0x2000), 0x10000 + next(0x10000), 0x1f000 + next(0xc00)][next(6)];
            s += text(c) + (next(4) ? "" : " ");
        }
        list.push(s);
    }
    return list;
}

// ---- what is changed

const special = (id, content, more = {}) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...more });

// ---- variants: each changes the two files, or the small WordPiece one, in some keys

const metaspace = more => ({ type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true, ...more });
const bytes = more => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true, ...more });
const bert = more => ({ type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true, ...more });
const sequence = (...normalizers) => ({ type: "Sequence", normalizers }), steps = (...pretokenizers) => ({ type: "Sequence", pretokenizers });
const split = (pattern, behavior, invert = false) => ({ type: "Split", pattern, behavior, invert });
const isolated = b => split({ String: "e" }, b);

const variants = {
    "bpe": [{}],
    "bpe prefix space": [{ pre_tokenizer: bytes({ add_prefix_space: true }) }],
    "bpe without words": [{ pre_tokenizer: bytes({ use_regex: false }) }],
    "bpe ignore_merges": [{ "model.ignore_merges": true }],
    "bpe nfc lower": [{ normalizer: sequence({ type: "NFC" }, { type: "Lowercase" }) }],
    "bpe left": [{ truncation: { direction: "Left", max_length: 13, strategy: "LongestFirst", stride: 0 } }],
    "bpe right": [{ truncation: { direction: "Right", max_length: 11, strategy: "LongestFirst", stride: 1 } }],
    "bpe left 40": [{ truncation: { direction: "Left", max_length: 41, strategy: "LongestFirst", stride: 0 } }],
    "bpe template": [{ post_processor: { type: "Sequence", processors: [{ type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
        { type: "BertProcessing", sep: ["</s>", 2], cls: ["<s>", 0] }] } }],
    "bpe split": [{ pre_tokenizer: steps(split({ Regex: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" }, "Isolated"),
        { type: "Digits", individual_digits: true }, bytes({ use_regex: false })) }],
    "bpe tokens": [{ added: [{ content: "extra", single_word: true, normalized: false }, { content: "<Lower>", normalized: true, rstrip: true }, { content: "the", normalized: true, lstrip: true, special: false }],
        normalizer: { type: "Lowercase" } }],
    "bpe tokens left": [{ added: [{ content: "word", normalized: false, special: false }, { content: "x", normalized: true, lstrip: true }], truncation: { direction: "Left", max_length: 7, strategy: "LongestFirst", stride: 0 } }],
    "bpe tokens right": [{ added: [{ content: "word", normalized: false, special: false }, { content: "x", normalized: true, lstrip: true }], truncation: { direction: "Right", max_length: 7, strategy: "LongestFirst", stride: 0 } }],
    "bpe characters": [{ normalizer: { type: "NFKC" }, pre_tokenizer: steps({ type: "Whitespace" }, { type: "Punctuation", behavior: "Contiguous" }), "model.unk_token": "<unk>", "model.fuse_unk": true }],
    "bpe unknown": [{ normalizer: { type: "NFKD" }, pre_tokenizer: { type: "WhitespaceSplit" }, "model.unk_token": "<unk>" }],
    "bpe fallback": [{ normalizer: { type: "NFD" }, pre_tokenizer: { type: "WhitespaceSplit" }, "model.unk_token": "<unk>", "model.byte_fallback": true, bytes: [0, 256] }],
    "bpe part fallback": [{ pre_tokenizer: null, "model.unk_token": "<unk>", "model.byte_fallback": true, "model.fuse_unk": true, bytes: [0xb0, 0xe9] }],
    "bpe suffix": [{ pre_tokenizer: { type: "WhitespaceSplit" }, "model.end_of_word_suffix": "s", "model.unk_token": "<unk>" }],
    "unigram": [{}],
    "unigram never": [{ pre_tokenizer: metaspace({ prepend_scheme: "never" }) }],
    "unigram first": [{ pre_tokenizer: metaspace({ prepend_scheme: "first" }), added: [{ content: "<mask>", lstrip: true, normalized: false }] }],
    "unigram whole": [{ pre_tokenizer: metaspace({ split: false }) }],
    "unigram words": [{ pre_tokenizer: steps({ type: "WhitespaceSplit" }, metaspace()) }],
    "unigram old": [{ pre_tokenizer: { type: "Metaspace", replacement: "▁", add_prefix_space: true, str_rep: "▁" } }],
    "unigram fallback": [{ "model.byte_fallback": true, bytes: [0, 256] }],
    "unigram left": [{ truncation: { direction: "Left", max_length: 9, strategy: "LongestFirst", stride: 0 } }],
    "unigram right": [{ truncation: { direction: "Right", max_length: 9, strategy: "LongestFirst", stride: 0 } }],
    "unigram albert": [{ normalizer: sequence({ type: "Replace", pattern: { String: "``" }, content: "\"" }, { type: "NFKD" }, { type: "StripAccents" }, { type: "Lowercase" }, "precompiled",
        { type: "Replace", pattern: { Regex: " {2,}" }, content: "▁" }) }],
    "unigram strip": [{ normalizer: sequence({ type: "Nmt" }, { type: "NFC" }, { type: "Strip", strip_left: true, strip_right: true }, { type: "Replace", pattern: { Regex: "\\s+" }, content: " " }, { type: "Prepend", prepend: "▁" }), pre_tokenizer: null }],
    "unigram strip left": [{ normalizer: { type: "Strip", strip_left: true, strip_right: false }, pre_tokenizer: { type: "CharDelimiterSplit", delimiter: " " } }],
    "unigram tokens": [{ added: [{ content: "ﬁne", normalized: true, special: false }, { content: "Extra", single_word: true, lstrip: true, rstrip: true, normalized: false }] }],
    "unigram digits": [{ pre_tokenizer: steps({ type: "Digits", individual_digits: false }, metaspace()) }],
    "unigram removed": [{ pre_tokenizer: isolated("Removed") }],
    "unigram isolated": [{ pre_tokenizer: isolated("Isolated") }],
    "unigram previous": [{ pre_tokenizer: isolated("MergedWithPrevious") }],
    "unigram next": [{ pre_tokenizer: isolated("MergedWithNext") }],
    "unigram contiguous": [{ pre_tokenizer: isolated("Contiguous") }],
    "unigram inverted": [{ pre_tokenizer: split({ Regex: "\\s" }, "MergedWithNext", true) }],
    "unigram punctuation": [{ pre_tokenizer: { type: "Punctuation", behavior: "MergedWithPrevious" } }],
    "wordpiece": [{}],
    "wordpiece left": [{ truncation: { direction: "Left", max_length: 10, strategy: "LongestFirst", stride: 0 } }],
    "wordpiece right": [{ truncation: { direction: "Right", max_length: 8, strategy: "LongestFirst", stride: 0 } }],
    "wordpiece right 30": [{ truncation: { direction: "Right", max_length: 30, strategy: "LongestFirst", stride: 0 } }],
    "wordpiece cased": [{ normalizer: bert({ lowercase: false }) }],
    "wordpiece cased stripped": [{ normalizer: bert({ lowercase: false, strip_accents: true }) }],
    "wordpiece accents": [{ normalizer: bert({ strip_accents: false }) }],
    "wordpiece unclean": [{ normalizer: bert({ clean_text: false, handle_chinese_chars: false }) }],
    "wordpiece settings": [{ "model.unk_token": "[MASK]", "model.continuing_subword_prefix": "", "model.max_input_chars_per_word": 7 }],
    "wordpiece digits": [{ pre_tokenizer: steps({ type: "BertPreTokenizer" }, { type: "Digits", individual_digits: true }) }],
    "wordpiece tokens": [{ added: [{ content: "extra", single_word: true, normalized: true }, { content: "[MASK]", lstrip: true, normalized: false, special: true }] }],
};

function variant(name, files) {
    const kind = name.split(" ")[0], json = structuredClone(files[kind]), map = kind === "unigram" && json.normalizer.normalizers[0];
    for (const [key, value] of Object.entries(variants[name][0])) {
        if (key === "added") {
            for (const token of value) {
                const known = kind === "unigram" ? json.model.vocab.findIndex(([p]) => p === token.content) : json.model.vocab[token.content] ?? -1;
                const old = json.added_tokens.findIndex(a => a.content === token.content), size = Object.keys(json.model.vocab).length;
                const next = Math.max(size, ...json.added_tokens.map(a => a.id + 1));
                json.added_tokens[old < 0 ? json.added_tokens.length : old] = special(known >= 0 ? known : next, token.content, token);
            }
        } else if (key === "bytes") {
            for (let b = value[0]; b < value[1]; b++) {
                const token = `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`;
                if (kind === "unigram") json.model.vocab.push([token, -20]);
                else json.model.vocab[token] = Object.keys(json.model.vocab).length;
            }
        } else if (key.startsWith("model.")) json.model[key.slice(6)] = value;
        else json[key] = value;
    }
    const list = json.normalizer?.normalizers;
    if (list?.includes("precompiled")) list[list.indexOf("precompiled")] = map;
    return json;
}


// The map of characters is long, and in the committed file already.
const marked = normalizer => JSON.parse(JSON.stringify(normalizer, (key, value) => key === "precompiled_charsmap" ? "" : value));

// ---- ids: each a little-endian int32, then -1 and where the tokens of type 1 begin

const read = name => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
const files = { bpe: read("byte-level-bpe.json"), unigram: read("unigram.json"), wordpiece: read("../small-tokenizer.json") };
const list = texts(), result = {}, block = 100, pairs = 600;
const escaped = s => s.replace(/[\x7f-\uffff]/g, u => "\\u" + u.charCodeAt(0).toString(16).padStart(4, "0"));

async function writeVariants() {
    writeFileSync(`${folder}/variant-texts.jsonl`, list.map(s => escaped(JSON.stringify(s)) + "\n").join(""));
    for (const name of Object.keys(variants)) {
        const json = variant(name, files), tokenizer = t.Tokenizer.fromString(JSON.stringify(json)), hashes = [];
        tokenizer.disablePadding();
        let hash = createHash("sha256");
        for (let i = 0; i < list.length + pairs; i++) {
            const j = i - list.length;
            const encoding = j < 0 ? await tokenizer.encode(list[i]) : await tokenizer.encode(list[j * 5], list[(j * 11 + 3) % list.length]);
            const ids = encoding.getIds(), one = encoding.getTypeIds().indexOf(1);
            hash.update(Buffer.from(Int32Array.from([...ids, -1, one < 0 ? ids.length : one]).buffer));
            if (process.env.SHOW === name) console.log(i, ids.join(" "));
            if ((i + 1) % block === 0) {
                hashes.push(hash.digest("hex").slice(0, 8));
                hash = createHash("sha256");
            }
        }
        const { added, bytes, ...changes } = variants[name][0];
        result[name] = {
            changes: { ...changes, ...(changes.normalizer ? { normalizer: marked(json.normalizer) } : {}), ...(added ? { added_tokens: json.added_tokens } : {}) },
            ...(bytes ? { bytes } : {}), hashes: hashes.join(" "),
        };
    }
    writeFileSync(`${folder}/variants.json`, escaped(JSON.stringify(result, null, 1)) + "\n");
}

// ---- damages: every key and some elements of lists, away or with another value

const away = "(away)";
function* places(json, path = []) {
    if (path.at(-1) === "vocab" || path.at(-1) === "merges") return;
    const keys = Array.isArray(json) ? [...json.keys()].filter(i => i < 2 || i === json.length - 1) : json && typeof json === "object" ? Object.keys(json) : [];
    for (const key of keys) {
        yield [...path, key];
        yield* places(json[key], [...path, key]);
    }
}
const bases = { ...files, tokens: variant("bpe tokens", files), strips: variant("unigram strip", files), cut: variant("bpe left", files) };
const values = [away, null, true, false, 0, 1, -1, "", "a", " ", "first", "Removed", "NFC", "Left", [], {}];

function* damages() {
    for (const [base, file] of Object.entries(bases))
        for (const path of places(file)) for (const value of values)
            if (JSON.stringify(path.reduce((at, key) => at[key], file)) !== JSON.stringify(value)) yield [base, path, value];
}

function damaged([base, path, value]) {
    const json = structuredClone(bases[base]), parent = path.slice(0, -1).reduce((at, key) => at[key], json), key = path.at(-1);
    if (value !== away) parent[key] = value;
    else if (Array.isArray(parent)) parent.splice(key, 1);
    else delete parent[key];
    return json;
}

async function hashOf(json) {
    const tokenizer = t.Tokenizer.fromString(JSON.stringify(json)), all = createHash("sha256");
    tokenizer.disablePadding();
    for (const s of list.filter((_, i) => i % 110 === 0)) {
        const encoding = await tokenizer.encode(s, s + s), ids = encoding.getIds(), one = encoding.getTypeIds().indexOf(1);
        all.update(Buffer.from(Int32Array.from([...ids, -1, one < 0 ? ids.length : one]).buffer));
        all.update(Buffer.from(Int32Array.from((await tokenizer.encode(s)).getIds()).buffer));
    }
    return all.digest("hex").slice(0, 8);
}

const all = [...damages()];
if (start !== undefined) {
    for (const what of all.slice(Number(start))) console.log(await hashOf(damaged(what)).catch(() => null));
} else {
    // some end the process: that one is refused, and the next process goes on behind it
    const hashes = [];
    while (hashes.length < all.length) {
        const run = spawnSync(process.execPath, [process.argv[1], folder, `${hashes.length}`], { encoding: "utf8", maxBuffer: 1 << 26 });
        hashes.push(...run.stdout.trim().split("\n").filter(line => line).map(line => line === "null" ? null : line));
        if (run.status !== 0 && hashes.length < all.length) hashes.push(null);
    }
    const rows = new Map();
    all.forEach(([base, path, value], i) => {
        const key = JSON.stringify([base, path]);
        rows.set(key, rows.get(key) ?? values.map(() => "="));
        rows.get(key)[values.indexOf(value)] = hashes[i] ?? "-";
    });
    writeFileSync(`${folder}/damages.jsonl`, [JSON.stringify(values), ...[...rows].map(([key, found]) => escaped(`{"at":${key},"ids":"${found.join(" ")}"}`)), ""].join("\n"));
    console.log(`${all.length} damages, ${hashes.filter(hash => hash).length} of them read`);
    await writeVariants();
}
