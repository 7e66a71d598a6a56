// What Hugging Face's Rust tokenizer (npm tokenizers 0.23.2) makes of every code point in each step: code-points.jsonl of VariantTests.
//
//   mkdir oracle && cd oracle && npm install tokenizers@0.23.2
//   node ../tests/lora/tokenizers/pipeline/code-points.mjs ../tests/lora/tokenizers/pipeline                  about 3 min
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const t = createRequire(process.cwd() + "/")("tokenizers");
const [folder] = process.argv.slice(2);
const file = JSON.parse(readFileSync(`${folder}/unigram.json`, "utf8"));
const bert = { clean_text: false, handle_chinese_chars: false, strip_accents: false, lowercase: false };
const steps = [
    ...["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"].map(type => ({ type })),
    ...Object.keys(bert).map(key => ({ type: "BertNormalizer", ...bert, [key]: true })),
    { type: "Strip", strip_left: true, strip_right: true }, { type: "Replace", pattern: { Regex: "\\s" }, content: "_" }, "map",
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true }, { type: "BertPreTokenizer" },
    { type: "Whitespace" }, { type: "WhitespaceSplit" }, { type: "Punctuation", behavior: "Isolated" }, { type: "Digits", individual_digits: true },
];
const lines = [];
for (const step of steps) {
    const isPre = ["ByteLevel", "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits"].includes(step.type);
    const json = { ...file, normalizer: isPre ? null : step === "map" ? file.normalizer : step, pre_tokenizer: isPre ? step : null };
    const tokenizer = t.Tokenizer.fromString(JSON.stringify(json)), all = createHash("sha256");
    const normalizer = tokenizer.getNormalizer(), preTokenizer = tokenizer.getPreTokenizer();
    for (let c = 0; c < 0x110000; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        const x = String.fromCodePoint(c), s = `e${x}\u0301\u0323a${x} 1${x}!${x}`;
        all.update((isPre ? preTokenizer.preTokenizeString(s).map(([word]) => word).join("\t") : normalizer.normalizeString(s)) + "\n");
    }
    lines.push(JSON.stringify({ step: step === "map" ? "map" : JSON.stringify(step), hash: all.digest("hex").slice(0, 16) }) + "\n");
}
writeFileSync(`${folder}/code-points.jsonl`, lines.join(""));
console.log(lines.length);
