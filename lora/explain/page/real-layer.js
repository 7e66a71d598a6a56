// A layer of a real model: W is too large to carry. y and dX are checked in the columns whose part of
// W is in the page; h, dA and dB whole; finite differences at 64 entries (of dA and dB together, and
// of dX) and in three directions.

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

    /** dA, dB and dX once more, as differences of ⟨dY, Y⟩. */
    function differencesOf([, , dA, dB, dX]) {
        const size = updatePairing({ ...batch, X: absolute(batch.X), dY: absolute(batch.dY) }, reach(A), reach(B));
        const rounding = roundingOf(size, batch.X.columns);
        const ofA = direction => difference(by => updatePairing(batch, A.plus(direction.scaled(by)), B));
        const ofB = direction => difference(by => updatePairing(batch, A, B.plus(direction.scaled(by))));
        return [...alongDirections('dA', dA, 32, 11, ofA, rounding), ...alongDirections('dB', dB, 32, 12, ofB, rounding),
            ...(dX ? differencesOfInput(dX) : [])];
    }

    /** In the columns whose part of W is here: only the rows that a direction moves are computed. */
    function differencesOfInput(dX) {
        const X = columnsOf(batch.X, part.inputs);
        const known = new Map([['W', Matrix.from(part.wColumns)], ['b', Matrix.scalar(0)], ['M', columnsOf(batch.M, part.inputs)],
            ['A', inputs.G ? A : rowsOf(A, part.inputs)], ['B', B], ['G', inputs.G && rowsOf(inputs.G, part.inputs)], ...constants].filter(([, value]) => value));
        const pairing = (moved, dY, from = known) => {
            const names = new Map([...from, ['X', moved]]);
            for (const name of ['Xd', 'H', 'Y']) {
                names.set(name, run(name, names, Plain));
            }
            return names.get('Y').with(dY, (y, g) => y * g).sum();
        };
        const size = pairing(reach(X), absolute(batch.dY), new Map([...known].map(([name, value]) => [name, absolute(value)])));
        const ofX = direction => {
            const moving = [...Array(X.rows).keys()].filter(n => direction.data.subarray(n * X.columns, (n + 1) * X.columns).some(value => value !== 0));
            return difference(by => pairing(rowsOf(X.plus(direction.scaled(by)), moving), rowsOf(batch.dY, moving)));
        };
        return alongDirections('dX', dX, 64, 13, ofX, roundingOf(size, X.columns));
    }

    function roundingOf(size, columns) {
        return 2 ** -53 * (batch.dY.data.length + columns + A.columns + 12) * size / differenceStep;
    }
}

/** ⟨dY, Y⟩ is linear along each number: nothing is cut off, however large h. */
const differenceStep = 2 ** -3;
const absolute = matrix => matrix.map(Math.abs);
const reach = matrix => matrix.map(value => Math.abs(value) + differenceStep);
const difference = along => (along(differenceStep) - along(-differenceStep)) / (2 * differenceStep);

/** A gradient at its largest entries and along three random directions: the engine's, the page's, and by differences. */
function alongDirections(name, gradient, entries, seed, numericOf, rounding) {
    const { rows, columns, data: values } = gradient.engine;
    const largest = [...values.keys()].sort((p, q) => Math.abs(values[q]) - Math.abs(values[p])).slice(0, entries);
    const random = new RandomNumbers(seed);
    const inner = (matrix, direction) => matrix.with(direction, (x, y) => x * y).sum();
    return [
        [`${name}, ${largest.length} largest, by differences`, largest.map(at => Matrix.of(rows, columns, (i, j) => i * columns + j === at ? 1 : 0))],
        [`${name} along three directions`, [1, 2, 3].map(() => random.matrix(rows, columns, 1 / Math.sqrt(values.length)))],
    ].map(([title, chosen], kind) => {
        const row = f => Matrix.of(1, chosen.length, (_, k) => f(chosen[k]));
        const engine = { rows: 1, columns: chosen.length, values: [...row(direction => inner(gradient.engine, direction)).data] };
        const page = new Bounded(row(direction => inner(gradient.page.value, direction)), row(direction => inner(gradient.page.bound, absolute(direction))));
        return check(`n${name}-${kind}`, title, gradient.equation, engine, page,
            { value: row(numericOf), bound: row(direction => rounding * (1 + direction.norm())) });
    });
}
