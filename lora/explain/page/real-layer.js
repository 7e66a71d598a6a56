// A layer of a real model: W is too large to carry. y and dX are checked in the columns whose part of
// W is in the page; h, dA and dB whole; finite differences at 64 entries and in three directions.

/** ⟨dY, s·HB⟩: all of the loss that A and B move, W's part stands still. */
function updatePairing(batch, A, B, algebra = Plain) {
    const run = formulasWith(null);
    const names = new Map([['X', batch.X], ['M', batch.M], ['A', A], ['B', B], ['G', inputs.G], ...constants].filter(([, value]) => value));
    for (const name of ['Xd', 'H']) {
        names.set(name, run(name, names, algebra));
    }
    const update = algebra.scale(algebra.product(names.get('H'), B), constants.get('s'));
    return algebra.multiply(update, batch.dY).sum();
}

/** What the arithmetic of one number reads. */
function layerNames() {
    const run = formulasWith(null);
    const names = namesOf(batchMatrices[0][0], inputs.A, inputs.B, Plain);
    for (const name of ['Xd', 'H', 'dH']) {
        names.set(name, run(name, names, Plain));
    }
    return names;
}

function columnsOf(matrix, chosen) {
    return Matrix.of(matrix.rows, chosen.length, (i, k) => matrix.at(i, chosen[k]));
}

function rowsOf(matrix, chosen) {
    return Matrix.of(chosen.length, matrix.columns, (k, j) => matrix.at(chosen[k], j));
}

function proveLayer() {
    const run = formulasWith(null);
    const [batch, engine, part] = [batchMatrices[0][0], data.steps[0].batches[0].engine, data.part];
    const { A, B } = inputs;
    const names = namesOf(batch, new Bounded(A), new Bounded(B), WithBounds);
    for (const name of ['Xd', 'H', 'dH', 'dB', 'dA']) {
        names.set(name, run(name, names, WithBounds));
    }
    const bias = columnsOf(inputs.bias, part.outputs);
    const checks = [
        check('H-0-0', 'h', 'H', engine.h, names.get('H')),
        check('Y-0-0', `y, columns ${part.outputs.join(', ')}`, 'Y', engine.y, restrictedY()),
        check('gA-0', 'dA', 'dA', data.steps[0].engine.dA, names.get('dA')),
        check('gB-0', 'dB', 'dB', data.steps[0].engine.dB, names.get('dB')),
    ];
    if (engine.dX) {
        checks.push(check('dX-0-0', `dX, columns ${part.inputs.join(', ')}`, 'dX', engine.dX, restrictedDX()));
    }
    return [...checks, ...differencesOf(checks)];

    function restrictedY() {
        const known = given(new Map([['X', batch.X], ['W', Matrix.from(part.wRows)], ['b', bias], ['B', columnsOf(B, part.outputs)], ...constants]), WithBounds);
        return run('Y', known.set('H', names.get('H')), WithBounds);
    }

    function restrictedDX() {
        const known = given(new Map([['dY', batch.dY], ['W', Matrix.from(part.wColumns)], ['M', columnsOf(batch.M, part.inputs)],
            ['A', inputs.G ? A : rowsOf(A, part.inputs)], ['G', inputs.G && rowsOf(inputs.G, part.inputs)], ...constants]
            .filter(([, value]) => value)), WithBounds);
        return run('dX', known.set('dH', names.get('dH')), WithBounds);
    }

    /** 64 entries of dA and dB, the largest of each, and three random directions of both together. */
    function differencesOf([, , dA, dB]) {
        const absolute = matrix => matrix.map(Math.abs);
        const reach = matrix => matrix.map(value => Math.abs(value) + 2 ** -3);
        const size = updatePairing({ ...batch, X: absolute(batch.X), dY: absolute(batch.dY) }, reach(A), reach(B));
        const depth = batch.dY.data.length + batch.X.columns + A.columns + 12;
        const h = 2 ** -3;
        const rounding = 2 ** -53 * depth * size / h;
        const along = (gradient, direction, which) => {
            const moved = sign => updatePairing(batch, which === 'A' ? A.plus(direction.scaled(sign * h)) : A, which === 'B' ? B.plus(direction.scaled(sign * h)) : B);
            return (moved(1) - moved(-1)) / (2 * h);
        };
        const found = [];
        for (const [gradient, matrix, which] of [[dA, A, 'A'], [dB, B, 'B']]) {
            const places = [...gradient.engine.data.keys()].sort((p, q) => Math.abs(gradient.engine.data[q]) - Math.abs(gradient.engine.data[p])).slice(0, 32);
            const picks = places.map(at => Matrix.of(matrix.rows, matrix.columns, (i, j) => i * matrix.columns + j === at ? 1 : 0));
            const random = new RandomNumbers(which === 'A' ? 11 : 12);
            const directions = [1, 2, 3].map(() => random.matrix(matrix.rows, matrix.columns, 1 / Math.sqrt(matrix.data.length)));
            for (const [title, chosen] of [[`d${which}, 32 largest, by differences`, picks], [`d${which} along three directions`, directions]]) {
                const inner = (g, direction) => g.with(direction, (x, y) => x * y).sum();
                const row = f => Matrix.of(1, chosen.length, (_, k) => f(chosen[k]));
                const value = row(direction => inner(gradient.page.value, direction));
                const bound = row(direction => inner(gradient.page.bound, absolute(direction)));
                const numeric = { value: row(direction => along(gradient, direction, which)), bound: row(direction => rounding * (1 + direction.norm())) };
                const engine = { rows: 1, columns: chosen.length, values: [...row(direction => inner(gradient.engine, direction)).data] };
                found.push(check(`n${which}-${title.length}`, title, gradient.equation, engine, new Bounded(value, bound), numeric));
            }
        }
        return found;
    }
}
