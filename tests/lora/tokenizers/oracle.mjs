// The oracle of the WordPiece tests: Hugging Face's Rust tokenizer, through its npm package. It is needed only to make the committed numbers again.
//
//   mkdir oracle && cd oracle && npm install tokenizers@0.23.2
//   node ../tests/lora/tokenizers/oracle.mjs tables > ../lora/tokenizers/wordpiece-unicode.txt              about 20 s
//   node ../tests/lora/tokenizers/oracle.mjs code-points tokenizer.json                              about 1 min: hash of the ids of "a" + c + "b" for every c
//   node ../tests/lora/tokenizers/oracle.mjs strings small.json tokenizer.json strings.jsonl          the lines of strings.jsonl again, with the ids and the decoded
//                                                                                         text by the small and by the large tokenizer
//   node ../tests/lora/tokenizers/oracle.mjs pairs small.json > ../tests/lora/tokenizers/pairs.jsonl             pairs of texts, cut at each end to several lengths
//   node ../tests/lora/tokenizers/oracle.mjs reviews tokenizer.json aclImdb                          hash of the ids of the first 1,000 test reviews, and the speed
//
// The package reports ids for whole strings and also runs its normalizer and its splitter alone, so each table is measured by itself: one call per
// code point. No Unicode data file and no source code is read.
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";

const require = createRequire(process.cwd() + "/");
const tokenizers = require("tokenizers");
const [command, ...args] = process.argv.slice(2);
const text = c => String.fromCodePoint(c);
const hex = c => c.toString(16).toUpperCase().padStart(4, "0");

function* codePoints() {
    for (let c = 0; c < 0x110000; c++)
        if (c < 0xd800 || c > 0xdfff) yield c;
}

// ---- tables ----------------------------------------------------------------------------------------------------------------------------

function tables() {
    const none = { cleanText: false, handleChineseChars: false, stripAccents: false, lowercase: false };
    const step = option => tokenizers.bertNormalizer({ ...none, [option]: true });
    const clean = step("cleanText"), spaceIdeographs = step("handleChineseChars"), strip = step("stripAccents"), lower = step("lowercase");
    const decompose = tokenizers.nfdNormalizer(), split = tokenizers.bertPreTokenizer();
    const nfd = s => decompose.normalizeString(s);

    const dropped = [], space = [], ideograph = [], punctuation = [];
    const stripped = new Set(), lowered = new Map(), decomposed = new Map(), nonStarter = new Set();
    for (const c of codePoints()) {
        const s = text(c), word = "a" + s + "b", cleaned = clean.normalizeString(word);
        if (cleaned === "ab") dropped.push(c);
        else if (cleaned === "a b") space.push(c);
        if (spaceIdeographs.normalizeString(word) !== word) ideograph.push(c);
        if (split.preTokenizeString(word).length === 3) punctuation.push(c);
        if (strip.normalizeString(word) === "ab") stripped.add(c);
        if (lower.normalizeString(s) !== s) lowered.set(c, lower.normalizeString(s));
        if (nfd(s) !== s) decomposed.set(c, nfd(s));
        // A mark moves over another one of a higher class: U+0334 has class 1, the lowest, U+0345 has 240, the highest.
        else if (nfd("a" + s + "\u0334") !== "a" + s + "\u0334" || nfd("a\u0345" + s) !== "a\u0345" + s || c === 0x334 || c === 0x345) nonStarter.add(c);
    }

    // One mark of every combining class that a kept mark may have; the class of a mark is the highest one that does not move behind it.
    const probes = [[0x334, 1], [0x93c, 7], [0x3099, 8], [0x94d, 9], [0x5b0, 10], [0x321, 202], [0x31b, 216], [0x302a, 218], [0x316, 220], [0x59a, 222],
        [0x302e, 224], [0x1d16d, 226], [0x5ae, 228], [0x301, 230], [0x302c, 232], [0x35c, 233], [0x35d, 234], [0x345, 240]];
    const combiningClass = c => Math.max(...probes.filter(([p]) => nfd("a" + text(p) + text(c)) === "a" + text(p) + text(c)).map(([, k]) => k));
    const order = new Map();
    for (const c of nonStarter)
        if (!stripped.has(c)) {
            const k = combiningClass(c);
            order.set(k, [...(order.get(k) ?? []), c]);
        }

    const done = new Set([...dropped, ...space]), map = new Map(), expand = [], accents = [], accentStarters = [];
    for (const c of codePoints()) {
        if (done.has(c) || (c >= 0xac00 && c <= 0xd7a3)) continue;       // Hangul syllables decompose by a formula
        const parts = [...(decomposed.get(c) ?? text(c))].map(x => x.codePointAt(0));
        const kept = parts.filter(x => !stripped.has(x)).map(x => lowered.get(x) ?? text(x)).join("");
        const result = [...kept].map(x => x.codePointAt(0));
        if (result.length === 0) (parts.every(x => nonStarter.has(x)) ? accents : accentStarters).push(c);
        else if (result.length > 1) expand.push([c, result]);
        else if (result[0] !== c) map.set(c, result[0]);
    }

    const ranges = list => {
        const out = [];
        for (const c of list) out.length && out.at(-1)[1] === c - 1 ? out.at(-1)[1] = c : out.push([c, c]);
        return wrap(out.map(([a, b]) => a === b ? hex(a) : hex(a) + "-" + hex(b)));
    };
    const wrap = words => {
        const lines = [""];
        for (const w of words) (lines.at(-1) + " " + w).length > 148 ? lines.push(w) : lines[lines.length - 1] += (lines.at(-1) ? " " : "") + w;
        return lines;
    };
    const section = (name, lines) => console.log([`[${name}]`, ...lines].join("\n"));

    console.log("# How the BERT normalizer and splitter of Hugging Face tokenizers 0.23.2 treat code points; measured and written by tests/lora/tokenizers/oracle.mjs.");
    console.log("# What is not named here is kept as it is. Hexadecimal; A-B is a range; A-B/2 every second code point of it.");
    section("drop", ranges(dropped));
    section("space", ranges(space));
    section("ideograph", ranges(ideograph));
    section("punctuation", ranges(punctuation));
    section("accent", ranges(accents));
    section("accent-starter", ranges(accentStarters));
    for (const [k, list] of [...order].sort((a, b) => a[0] - b[0])) section("mark " + k, ranges(list));
    section("map", mapLines(map, wrap));
    section("expand", wrap(expand.map(([c, r]) => hex(c) + "=" + r.map(hex).join("+"))));
}

// Runs of equal distance ("A-B+D", "A-B/2+D"), then runs of neighbours with unrelated targets ("A=T,T,T").
function mapLines(map, wrap) {
    const keys = [...map.keys()], used = new Set(), words = [];
    const signed = d => (d < 0 ? "-" : "+") + Math.abs(d).toString(16).toUpperCase();
    for (const c of keys) {
        if (used.has(c)) continue;
        const d = map.get(c) - c;
        const length = stride => {
            let n = 1;
            while (map.has(c + n * stride) && !used.has(c + n * stride) && map.get(c + n * stride) - c - n * stride === d) n++;
            return n;
        };
        const stride = length(1) >= 3 ? 1 : length(2) >= 3 ? 2 : 0;
        if (stride) {
            const n = length(stride);
            for (let i = 0; i < n; i++) used.add(c + i * stride);
            words.push([c, hex(c) + "-" + hex(c + (n - 1) * stride) + (stride === 2 ? "/2" : "") + signed(d)]);
        }
    }
    let run = null;
    for (const c of keys.filter(k => !used.has(k)))
        if (run && run.next === c) { run.targets.push(hex(map.get(c))); run.next++; }
        else words.push([c, run = { next: c + 1, targets: [hex(map.get(c))] }]);
    words.sort((a, b) => a[0] - b[0]);
    return wrap(words.flatMap(([c, w]) => typeof w === "string" ? [w] : chunks(w.targets, 20).map((t, i) => hex(c + 20 * i) + "=" + t.join(","))));
}

function chunks(list, size) {
    return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

// ---- ids -------------------------------------------------------------------------------------------------------------------------------

// SHA-256 over the ids of one string after the other, each a little-endian int32, each string closed by -1.
function hasher() {
    const hash = createHash("sha256");
    return { add: ids => hash.update(Buffer.from(Int32Array.from([...ids, -1]).buffer)), hex: () => hash.digest("hex") };
}

async function encodePoints(tokenizer) {
    const hash = hasher();
    for (const part of chunks([...codePoints()], 4096))
        for (const e of await tokenizer.encodeBatch(part.map(c => "a" + text(c) + "b"))) hash.add(e.getIds());
    console.log(hash.hex());
}

async function encodeStrings(small, large, lines) {
    for (const line of lines) {
        const { text: s } = JSON.parse(line), result = { text: s };
        for (const [name, tokenizer] of Object.entries({ small, large })) {
            result[name] = (await tokenizer.encode(s)).getIds();
            result[name + "Decoded"] = await tokenizer.decode(result[name], true);
        }
        // Beyond ASCII everything is escaped: a reader sees what is there, and no editor or normalizing tool can change it.
        console.log(JSON.stringify(result).replace(/[\x7f-\uffff]/g, u => "\\u" + u.charCodeAt(0).toString(16).padStart(4, "0")));
    }
}

async function encodePairs(tokenizer) {
    const words = n => Array.from({ length: n }, (_, i) => ["good", "bad", "film", "not", "the"][(i * 7 + n) % 5]).join(" ");
    for (const direction of ["right", "left"])
        for (const [first, second] of [[0, 0], [0, 3], [3, 0], [1, 1], [2, 9], [9, 2], [5, 5], [6, 5], [5, 6], [12, 11], [9, 6]])
            for (const maxLength of [3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 64]) {
                const [text, pair] = [words(first), words(second)];
                tokenizer.setTruncation(maxLength, { strategy: tokenizers.TruncationStrategy.LongestFirst, direction });
                const encoding = await tokenizer.encode(text, pair);
                const whole = first + second + 3;
                console.log(JSON.stringify({ text, pair, maxLength, left: direction === "left", ids: encoding.getIds(), types: encoding.getTypeIds(), cut: whole > maxLength }));
            }
}

async function encodeReviews(tokenizer, root) {
    const reviews = ["neg", "pos"].flatMap(label => readdirSync(`${root}/test/${label}`).sort().slice(0, 500).map(f => readFileSync(`${root}/test/${label}/${f}`, "utf8")));
    const hash = hasher();
    tokenizer.setTruncation(512);
    await tokenizer.encodeBatch(reviews);
    const bytes = reviews.reduce((n, r) => n + Buffer.byteLength(r), 0);
    let best = Infinity, encodings;
    for (let i = 0; i < 5; i++) {
        const start = process.hrtime.bigint();
        encodings = await tokenizer.encodeBatch(reviews);
        best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e9);
    }
    for (const e of encodings) hash.add(e.getIds());
    console.log(hash.hex());
    console.log(`${(bytes / best / 1e6).toFixed(1)} MB/s (set RAYON_NUM_THREADS=1 for one core)`);
}

const load = (i = 0) => tokenizers.Tokenizer.fromFile(args[i]);
if (command === "tables") tables();
else if (command === "code-points") await encodePoints(load());
else if (command === "strings") await encodeStrings(load(), load(1), readFileSync(args[2], "utf8").trim().split("\n"));
else if (command === "pairs") await encodePairs(load());
else if (command === "reviews") await encodeReviews(load(), args[1]);
else console.error("commands: tables, code-points, strings, pairs, reviews");
