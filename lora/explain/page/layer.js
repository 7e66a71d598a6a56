// The layer of this page, computed again. The formulas are data (C# wrote them; the mutants of "break
// it" replace some of them); this file only says in which order they run.

const formulaTexts = new Map(data.formulas.map(formula => [formula.name, formula.text]));
const parsed = new Map();

/** Parses a formula once. */
function formula(text) {
    if (!parsed.has(text)) {
        parsed.set(text, new Formula(text));
    }
    return parsed.get(text);
}

/** The formulas with those of a mutant in their places. */
function formulasWith(mutant) {
    const texts = new Map([...formulaTexts, ...Object.entries(mutant?.formulas ?? {})]);
    return (name, names, algebra) => formula(texts.get(name)).value(names, algebra);
}

/** What stands in a batch as the engine handed it out: exact in every algebra. */
function given(names, algebra) {
    return new Map([...names].map(([name, matrix]) => [name, algebra === WithBounds ? new Bounded(matrix) : matrix]));
}

const constants = new Map(Object.entries(data.constants).map(([name, value]) => [name, Matrix.scalar(value)]));

const inputs = {
    A: Matrix.from(data.a),
    B: Matrix.from(data.b),
    W: data.w && Matrix.from(data.w),
    bias: data.bias && Matrix.from(data.bias),
    G: data.g && Matrix.from(data.g),
};

/** The matrices of a batch by their names in the formulas. "Other" ones are there to be taken by mistake. */
const batchMatrices = data.steps.map((step, number) => step.batches.map((batch, k) => {
    const X = Matrix.from(batch.x);
    const mask = from => from.mask ? Matrix.from(from.mask) : Matrix.of(1, X.columns, () => 1);
    const nextStep = data.steps[(number + 1) % data.steps.length].batches[k];
    const otherBatch = step.batches[k === 0 ? step.batches.length - 1 : 0];
    return { X, M: mask(batch), Mother: mask(nextStep), Xother: Matrix.from(otherBatch.x), Mbatch: mask(otherBatch),
        dY: batch.dY && Matrix.from(batch.dY), T: batch.target && Matrix.from(batch.target) };
}));

/** The names that the formulas of one batch know. */
function namesOf(batch, A, B, algebra) {
    const names = given(new Map([['X', batch.X], ['M', batch.M], ['Mother', batch.Mother], ['T', batch.T], ['dY', batch.dY], ['N', Matrix.scalar(batch.X.rows)],
        ['W', inputs.W], ['b', inputs.bias], ['G', inputs.G], ...constants].filter(([, value]) => value)), algebra);
    if (batch.T) {
        names.delete('dY');     // the example computes its own
        names.set('c', algebra.number(data.constants.c));       // rounded to float32 in the engine
        names.set('Xdother', formula(formulaTexts.get('Xd')).value(given(new Map([['M', batch.Mbatch], ['X', batch.Xother], ['p', constants.get('p')]]), algebra), algebra));
    }
    return names.set('A', A).set('B', B);
}

/** Forward and backward of one batch: all that the formulas define. */
function runBatch(batch, A, B, run, algebra) {
    const names = namesOf(batch, A, B, algebra);
    for (const name of ['Xd', 'H', 'Y', 'L', 'dY', 'dH', 'dB', 'dA', 'dX']) {
        names.set(name, run(name, names, algebra));
    }
    return names;
}

/** The whole example: every step, its micro-batches, the summed gradients, A and B after it. */
function runAll(algebra, mutant = null) {
    const run = formulasWith(mutant);
    let { A, B } = Object.fromEntries(given(new Map([['A', inputs.A], ['B', inputs.B]]), algebra));
    const zero = matrix => given(new Map([['0', new Matrix(matrix.rows, matrix.columns)]]), algebra).get('0');
    const moments = { A: { m: zero(A), v: zero(A) }, B: { m: zero(B), v: zero(B) } };
    return data.steps.map((step, number) => {
        const batches = batchMatrices[number].map(batch => runBatch(batch, A, B, run, algebra));
        const sums = { gA: zero(A), gB: zero(B) };
        for (const names of batches) {
            const soFar = new Map([...names, ['gA', sums.gA], ['gB', sums.gB]]);
            [sums.gA, sums.gB] = [run('gA', soFar, algebra), run('gB', soFar, algebra)];
        }
        if (step.after) {
            const time = given(new Map([['t', Matrix.scalar(number + 1)], ...constants]), algebra);
            const moved = (P, g, moment) => {
                const names = new Map([...time, ['P', P], ['g', g], ['m', moment.m], ['v', moment.v]]);
                for (const name of ['m', 'v']) {
                    names.set(name, run(name, names, algebra));
                    moment[name] = names.get(name);
                }
                return run('P', names, algebra);
            };
            [A, B] = [moved(A, sums.gA, moments.A), moved(B, sums.gB, moments.B)];
        }
        return { batches, ...sums, A, B };
    });
}

/** What the forward formulas define, in any arithmetic. */
function forward(batch, A, B, algebra = Plain, wanted = 'L') {
    const run = formulasWith(null);
    const names = namesOf(batch, A, B, algebra);
    for (const name of ['Xd', 'H', 'Y', 'L']) {
        names.set(name, run(name, names, algebra));
        if (name === wanted) {
            return names.get(name);
        }
    }
    return null;
}

/** The loss of a step: the sum over its micro-batches. */
function lossOf(batches, A, B, algebra = Plain) {
    return batches.map(batch => forward(batch, A, B, algebra)).reduce((sum, part) => algebra.add(sum, part)).data[0];
}
