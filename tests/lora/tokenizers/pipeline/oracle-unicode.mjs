// Measures what Hugging Face's Rust tokenizer (npm tokenizers 0.23.2) knows of every code point and writes
// lora/tokenizers/unicode.txt. No Unicode data file and no source code is read.
//
//   mkdir oracle && cd oracle && npm install tokenizers@0.23.2
//   node ../tests/lora/tokenizers/pipeline/oracle-unicode.mjs > ../lora/tokenizers/unicode.txt                about 3 min
import { createRequire } from "node:module";
import { charsmap } from "./charsmap.mjs";

const t = createRequire(process.cwd() + "/")("tokenizers");
const text = c => String.fromCodePoint(c), hex = c => c.toString(16).toUpperCase().padStart(4, "0");
const points = [];
for (let c = 0; c < 0x110000; c++) if (c < 0xd800 || c > 0xdfff) points.push(c);

const section = (name, says, lines) => console.log([`# ${says}`, `[${name}]`, ...lines].join("\n"));
const wrap = words => words.reduce((lines, w) => {
    if (lines.length && lines.at(-1).length + w.length < 119) lines[lines.length - 1] += " " + w;
    else lines.push(w);
    return lines;
}, []);

function set(name, says, has) {
    const ranges = [];
    for (const c of points)
        if (has(c)) {
            if (ranges.length && ranges.at(-1)[1] === c - 1) ranges.at(-1)[1] = c;
            else ranges.push([c, c]);
        }
    section(name, says, wrap(ranges.map(([a, b]) => a === b ? hex(a) : hex(a) + "-" + hex(b))));
}

// "A=T+T", and "A=T,T,T" for neighbours that each become one.
function map(name, says, of, skip = () => false) {
    const words = [];
    let run = null;
    for (const c of points) {
        const s = text(c), becomes = skip(c) ? s : of(s);
        if (becomes === s) continue;
        const to = [...becomes].map(x => hex(x.codePointAt(0)));
        if (to.length === 1 && run && run.next === c && run.length < 16) {
            words[words.length - 1] += "," + to[0];
            run.next++;
            run.length++;
        } else {
            words.push(hex(c) + "=" + to.join("+"));
            run = to.length === 1 ? { next: c + 1, length: 1 } : null;
        }
    }
    section(name, says, wrap(words));
}

console.log("# What Hugging Face's Rust tokenizer knows of the code points; tests/lora/tokenizers/pipeline/oracle-unicode.mjs measures it.");

// ---- classes

const pieces = (tokenizer, s) => tokenizer.preTokenizeString(s).map(([piece]) => piece);
const bytes = t.byteLevelPreTokenizer(false, true), words = t.whitespacePreTokenizer();
const spaces = t.whitespaceSplitPreTokenizer(), bert = t.bertPreTokenizer(), digits = t.digitsPreTokenizer(false);
const clean = t.bertNormalizer({ cleanText: true, handleChineseChars: false, stripAccents: false, lowercase: false });
const chinese = t.bertNormalizer({ cleanText: false, handleChineseChars: true, stripAccents: false, lowercase: false });
const accents = t.bertNormalizer({ cleanText: false, handleChineseChars: false, stripAccents: true, lowercase: false });
const strip = t.stripNormalizer(true, true), marks = t.stripAccentsNormalizer(), lower = t.lowercase();

const isLetter = c => pieces(bytes, "a" + text(c)).length === 1, isNumber = c => pieces(bytes, "1" + text(c)).length === 1;
const isSpace = c => !isLetter(c) && !isNumber(c) && pieces(bytes, "!" + text(c)).length === 2;
for (const c of points)
    for (const other of [pieces(words, "!" + text(c) + "!").length === 2, pieces(spaces, "!" + text(c) + "!").length === 2, strip.normalizeString(text(c)) === ""])
        if (other !== isSpace(c)) throw new Error(`U+${hex(c)} is not a space for all`);
set("letter", "\\p{L} in the pattern of byte-level BPE", isLetter);
set("number", "\\p{N} there", isNumber);
set("space", "\\s there and everywhere: Whitespace, WhitespaceSplit, Strip", c => isSpace(c));
set("word", "\\w of the pre-tokenizer Whitespace", c => pieces(words, "a" + text(c)).length === 1 && pieces(words, "a" + text(c))[0].length > 1);
set("punctuation", "what BertPreTokenizer and Punctuation put apart", c => pieces(bert, "a" + text(c) + "a").length === 3);
set("numeric", "what Digits puts apart", c => pieces(digits, "a" + text(c) + "a").length === 3);
set("dropped", "what clean_text takes away", c => clean.normalizeString("a" + text(c) + "b") === "ab");
set("cleaned", "what clean_text turns into a space", c => clean.normalizeString("a" + text(c) + "b") === "a b");
set("ideograph", "what handle_chinese_chars puts apart", c => chinese.normalizeString(text(c)) !== text(c));
set("accent", "what strip_accents takes away, behind NFD", c => accents.normalizeString("a" + text(c) + "b") === "ab");
set("mark", "what StripAccents takes away", c => marks.normalizeString("a" + text(c) + "b") === "ab");
map("lower", "what Lowercase makes of each", s => lower.normalizeString(s));

// ---- normalization forms

const nfc = s => t_nfc.normalizeString(s), nfd = s => t_nfd.normalizeString(s), nfkd = s => t_nfkd.normalizeString(s);
const t_nfc = t.nfcNormalizer(), t_nfd = t.nfdNormalizer(), t_nfkd = t.nfkdNormalizer();
const isSyllable = c => c >= 0xac00 && c <= 0xd7a3;
map("canonical", "NFD, but of Hangul syllables", nfd, isSyllable);
map("compatible", "NFKD where it is not NFD", s => nfkd(s) === nfd(s) ? s : nfkd(s), isSyllable);
set("uncomposed", "what NFC takes apart, too", c => !isSyllable(c) && nfc(text(c)) !== text(c));

// A mark of a lower combining class moves before one of a higher class: that gives their order.
const moves = (a, b) => nfd("a" + text(a) + text(b)) === "a" + text(b) + text(a);
const atoms = points.filter(c => nfd(text(c)) === text(c) && !isSyllable(c));
const starters = c => !moves(0x345, c) && !moves(c, 0x334) && c !== 0x334 && c !== 0x345;
const classes = [];                                         // one mark of each class, the lowest first
const members = new Map();
for (const c of atoms.filter(c => !starters(c))) {
    const place = classes.findIndex(k => !moves(c, k));     // the first class that is not below c
    if (place >= 0 && !moves(classes[place], c)) members.get(classes[place]).push(c);
    else {
        classes.splice(place < 0 ? classes.length : place, 0, c);
        members.set(c, [c]);
    }
}
classes.forEach((k, i) => {
    const all = new Set(members.get(k));
    set(`class ${i + 1}`, "combining class, by its rank", c => all.has(c));
});

// ---- grapheme clusters: a map from every code point to itself keeps the first code point of a short cluster only

const joined = new Set(), before = new Set(), control = new Set(), consonant = new Set(), pictograph = new Set();
for (let i = 1; i < points.length; i += 2048) {
    const part = points.slice(i, i + 2048), keys = new Set([...part, 0x61, 0x301, 0x915, 0x94d, 0x200d, 0xa9].map(text));
    const identity = t.precompiled([...charsmap([...keys].map(k => [k, k]))]), of = s => identity.normalizeString(s);
    for (const c of part) {
        const s = text(c);
        if (of("a" + s) === "a") joined.add(c);
        if (of(s + "a") === s) before.add(c);
        if (of(s + "\u0301") !== s) control.add(c);
        if (of("\u0915\u094d" + s + "\u0301").endsWith("\u0301") && !joined.has(c) && !control.has(c) && c < 0x10000) consonant.add(c);
        if (of("\u00a9\u200d" + s + "\u0301").endsWith("\u0301") && !joined.has(c) && !control.has(c) && c < 0x10000) pictograph.add(c);
    }
}
set("extend", "what a grapheme cluster goes on with", c => joined.has(c));
set("prepend", "what a grapheme cluster goes on behind", c => before.has(c));
set("control", "what is no part of a longer grapheme cluster, but for those of four bytes", c => c === 0 || c < 0x10000 && control.has(c));
set("linked", "what goes on behind an Indic consonant and its linker", c => consonant.has(c));
set("pictograph", "what goes on behind a pictograph and U+200D, but for those of four bytes", c => pictograph.has(c));
