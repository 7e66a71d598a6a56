// Writes a SentencePiece character map ("precompiled_charsmap"): which strings of a text become which others. The
// format is a double array over the UTF-8 bytes of the keys, as Darts-clone lays it out, behind its size in bytes, and
// before the replacements, each closed by a zero byte.
//
// unit: bits 0-7 label, 8 a key ends here, 9 the offset counts 256s, 10-30 offset; a unit of bit 31 holds the place of
// a replacement. The child of the node at place p by byte b lies at p ^ offset ^ b, the end of a key at b = 0.

export function charsmap(entries) {
    const root = new Map(), replacements = new Map(), texts = [];
    let length = 0;
    for (const [key, value] of entries) {
        let node = root;
        for (const byte of Buffer.from(key)) {
            if (!node.has(byte)) node.set(byte, new Map());
            node = node.get(byte);
        }
        if (!replacements.has(value)) {
            replacements.set(value, length);
            texts.push(Buffer.from(value + "\0"));
            length += texts.at(-1).length;
        }
        node.set(0, replacements.get(value));
    }

    // Two nodes may not have the same base: a unit knows its label, and not its parent.
    const units = [0], taken = new Uint8Array(1 << 24), bases = new Set();
    taken[0] = 1;
    let first = 1;
    const place = labels => {
        while (taken[first]) first++;
        for (let slot = first; ; slot++) {
            const base = slot ^ labels[0];
            if (!taken[slot] && !bases.has(base) && labels.every(l => !taken[base ^ l])) return base;
        }
    };
    const queue = [[0, root]];
    for (const [at, node] of queue) {
        const labels = [...node.keys()].sort((a, b) => a - b), base = place(labels), offset = at ^ base;
        bases.add(base);
        units[at] = (units[at] ?? 0) | (node.has(0) ? 1 << 8 : 0)
            | (offset < 1 << 21 ? offset << 10 : (offset >> 8) << 10 | 1 << 9);
        if (offset >= 1 << 21 && offset & 255) throw new Error("the map is too large");
        for (const l of labels) {
            taken[base ^ l] = 1;
            if (l === 0) units[base] = (0x80000000 | node.get(0)) >>> 0;
            else {
                units[base ^ l] = l;
                queue.push([base ^ l, node.get(l)]);
            }
        }
    }
    const size = (units.length + 255) & ~255, bytes = Buffer.alloc(4 + 4 * size);
    bytes.writeUInt32LE(4 * size);
    for (let i = 0; i < size; i++) bytes.writeUInt32LE((units[i] ?? 0) >>> 0, 4 + 4 * i);
    return Buffer.concat([bytes, ...texts]);
}
