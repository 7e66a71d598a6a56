// The proof: every number that the engine computed in float32 is computed again in float64 from the
// inputs alone, and every gradient once more as a difference of the forward pass. Each comparison
// has a tolerance that bounds.js derives.

const exampleOf = kind => data.kind === kind;

/** One thing compared: the engine's matrix, the page's with bounds, and differences where it is a gradient. */
function check(id, title, equation, engine, page, numeric = null) {
    const found = { id, title, equation, engine: Matrix.from(engine), page, numeric, failures: [], numericFailures: [], worst: null, numericWorst: null };
    const { rows, columns } = found.engine;
    for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
            const place = { i, j, difference: Math.abs(found.engine.at(i, j) - page.value.at(i, j)),
                tolerance: page.bound.at(i, j) + 1e-30 };
            judge(place, found, 'failures', 'worst');
            if (numeric) {
                judge({ i, j, difference: Math.abs(numeric.value.at(i, j) - page.value.at(i, j)), tolerance: numeric.bound.at(i, j) + 1e-30 },
                    found, 'numericFailures', 'numericWorst');
            }
        }
    }
    return found;
}

/** Keeps the place that is closest to its tolerance, or beyond it; what is no number is beyond. */
function judge(place, found, failures, worst) {
    if (!(place.difference <= place.tolerance)) {
        found[failures].push(place);
    }
    const share = p => Number.isNaN(p.difference) ? Infinity : p.difference / p.tolerance;
    if (!found[worst] || share(place) > share(found[worst])) {
        found[worst] = place;
    }
}

/**
 * dM by central differences of the loss, a parabola along each single number: nothing is cut off, so
 * that h may be large, and rounding alone is left: depth·2⁻⁵³ of the sum of magnitudes, over h.
 */
function numericGradient(matrix, loss, magnitude, depth) {
    const h = 2 ** -3;
    const value = differences(matrix, loss, h);
    const rounding = 2 ** -53 * depth * magnitude / h;
    return { value, bound: value.with(matrix, (g, x) => rounding + 2 ** -52 * Math.abs(g) * (1 + Math.abs(x) / h)) };
}

/** The loss of some batches with magnitudes in place of values, a little further out than any difference reaches. */
function magnitudeOf(batches, A, B) {
    const reach = matrix => matrix.map(value => Math.abs(value) + 2 ** -3);
    const saved = { ...inputs };
    [inputs.W, inputs.bias] = [inputs.W.map(Math.abs), inputs.bias.map(Math.abs)];
    const total = lossOf(batches.map(batch => ({ ...batch, X: reach(batch.X), T: batch.T.map(value => -Math.abs(value)) })), reach(A), reach(B));
    Object.assign(inputs, saved);
    return total;
}

/** All comparisons of the built-in example, with a mutant's formulas in place where one is chosen. */
function proveExample(mutant) {
    const run = runAll(WithBounds, mutant);
    const checks = [];
    data.steps.forEach((step, t) => {
        const [A, B] = t === 0 ? [inputs.A, inputs.B] : [run[t - 1].A.value, run[t - 1].B.value];
        const batches = batchMatrices[t];
        const depth = batches.length * batches[0].T.data.length + batches[0].X.columns + A.columns + 16;
        const size = magnitudeOf(batches, A, B);
        step.batches.forEach((batch, k) => {
            const names = run[t].batches[k];
            const one = (name, title, engine, numeric = null) =>
                checks.push(check(`${name}-${t}-${k}`, `${title}, step ${t + 1}, micro-batch ${k + 1}`, name, engine, names.get(name), numeric));
            one('H', 'H', batch.engine.h);
            one('Y', 'Y', batch.engine.y);
            one('L', 'loss', batch.engine.loss);
            one('dY', 'dY', batch.dY);
            one('dX', 'dX', batch.engine.dX, numericGradient(batches[k].X, X => lossOf([{ ...batches[k], X }], A, B), size, depth));
        });
        const whole = (id, title, name, engine, page, numeric = null) => checks.push(check(`${id}-${t}`, `${title}, step ${t + 1}`, name, engine, page, numeric));
        whole('gA', 'dA', 'gA', step.engine.dA, run[t].gA, numericGradient(A, a => lossOf(batches, a, B), size, depth));
        whole('gB', 'dB', 'gB', step.engine.dB, run[t].gB, numericGradient(B, b => lossOf(batches, A, b), size, depth));
        whole('A', 'A after AdamW', 'P', step.after.a, run[t].A);
        whole('B', 'B after AdamW', 'P', step.after.b, run[t].B);
    });
    return checks;
}

let proof = [];

/** Runs all comparisons, and shows what came of them in the badge and in its table. */
function prove(mutant = null) {
    proof = exampleOf('example') ? proveExample(mutant) : proveLayer();
    const counted = proof.reduce((sum, each) => sum + each.engine.data.length, 0);
    const wrong = proof.reduce((sum, each) => sum + each.failures.length, 0);
    const numeric = proof.reduce((sum, each) => sum + (each.numeric ? each.numeric.value.data.length : 0), 0);
    const numericWrong = proof.reduce((sum, each) => sum + each.numericFailures.length, 0);
    const good = wrong + numericWrong === 0;
    const badge = byId('badge');
    badge.className = `badge ${good ? 'good' : 'bad'}`;
    badge.dataset.agree = counted - wrong;
    badge.dataset.of = counted;
    const number = value => value.toLocaleString('en');
    const text = element('p', {}, element('strong', {}, `${number(counted - wrong)} of ${number(counted)} numbers agree. `),
        'The engine computed them in float32; this page computed them again in float64 when you opened it. ',
        `${number(numeric - numericWrong)} of ${number(numeric)} gradients agree with finite differences too. `);
    if (mutant) {
        text.append(element('strong', {}, `“${mutant.title}” is switched on. `));
    }
    const first = proof.find(each => each.failures.length + each.numericFailures.length > 0);
    if (first) {
        const place = first.failures[0] ?? first.numericFailures[0];
        text.append('First at ', placeLink(first, place), ': ', `off by ${rough(place.difference)}, where ${rough(place.tolerance)} is allowed.`);
    }
    fill('badge', text);
    showProof();
    return good;
}

/** A link to one number: to its arithmetic where the page has it, else to its row in the table. */
function placeLink(found, { i, j }) {
    const label = found.engine.isScalar ? found.title : `${found.title}, [${i}, ${j}]`;
    const known = /^(gA|gB)-0$/.test(found.id) || /^(dX|Y)-0-\d$/.test(found.id);
    const target = known ? 'entry' : 'proof';
    return element('a', { href: `#${target}`, onclick: event => {
        event.preventDefault();
        if (known) {
            entryView.choose(found.id, i, j);
        } else {
            byId('proof').open = true;
        }
        byId(target).scrollIntoView();
        byId(target).focus({ preventScroll: true });
    } }, label);
}

function showProof() {
    const rows = proof.map(found => {
        const bad = found.failures.length + found.numericFailures.length;
        const { worst, numericWorst } = found;
        return { class: bad ? 'bad-row' : null, cells: [found.title, formulaTexts.get(found.equation), String(found.engine.data.length),
            rough(worst.difference), rough(worst.tolerance), numericWorst ? rough(numericWorst.difference) : '–',
            numericWorst ? rough(numericWorst.tolerance) : '–',
            bad ? element('span', { class: 'bad-text' }, `✗ ${bad} off`) : element('span', { class: 'good-text' }, '✓')] };
    });
    fill('proof-table', plainTable('Every comparison, at the number that comes closest to its tolerance', ['what', 'formula', 'numbers', 'engine − page',
        'allowed', 'differences − page', 'allowed', 'verdict'], rows));
}
