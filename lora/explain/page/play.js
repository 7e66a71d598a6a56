// Play: a frozen W [8, 8], a target W + D with D of low rank, and LoRA that has to find D. Everything
// is computed here, in float64, with the formulas of the layer above.

const Playground = {
    size: 8,
    samples: 24,

    defaults: { rank: 2, alpha: 4, rule: 'r', init: 'B0', lr: 0.02, ratio: 1, optimizer: 'adamw', truth: 2, dropout: 0, seed: 1 },

    fields: [
        ['rank', 'rank r of LoRA', [1, 2, 4, 8]],
        ['truth', 'rank of D', [1, 2, 4, 8]],
        ['alpha', 'alpha', [1, 2, 4, 8, 16]],
        ['rule', 'scaling s', [['r', 'alpha / r'], ['sqrt', 'alpha / √r'], ['alpha', 'alpha']]],
        ['init', 'initial values', [['B0', 'A drawn, B = 0'], ['A0', 'A = 0, B drawn'], ['00', 'both 0'], ['xx', 'both drawn']]],
        ['optimizer', 'optimizer', [['sgd', 'SGD'], ['adam', 'Adam'], ['adamw', 'AdamW, decay 0.01']]],
        ['lr', 'learning rate', [0.001, 0.005, 0.02, 0.1, 0.5]],
        ['ratio', 'rate of B : rate of A', [1, 4, 16]],
        ['dropout', 'dropout', [0, 0.1, 0.5]],
    ],

    /** A training run that takes steps when asked; the history starts before the first. */
    start(options) {
        const settings = { ...this.defaults, ...options };
        const random = new RandomNumbers(settings.seed * 7919);
        const n = this.size;
        const D = random.matrix(n, settings.truth).times(random.matrix(settings.truth, n)).scaled(1 / Math.sqrt(n * settings.truth));
        const run = {
            settings, D,
            X: random.matrix(this.samples, n),
            scaling: settings.alpha / { r: settings.rank, sqrt: Math.sqrt(settings.rank), alpha: 1 }[settings.rule],
            A: random.matrix(n, settings.rank, 1 / Math.sqrt(n)),
            B: random.matrix(settings.rank, n, 1 / Math.sqrt(settings.rank)),
            masks: new RandomNumbers(settings.seed * 104729),
            moments: [0, 1].map(() => ({ m: 0, v: 0 })),
            step: 0, history: [],
        };
        if (settings.init === 'A0' || settings.init === '00') {
            run.A = run.A.scaled(0);
        }
        if (settings.init === 'B0' || settings.init === '00') {
            run.B = run.B.scaled(0);
        }
        this.look(run);
        return run;
    },

    /** Loss and gradients where the run stands. W drops out: y − target = s·(X̃A)B − XD. */
    look(run) {
        const p = run.settings.dropout;
        const K = run.X.map(() => p === 0 ? 1 : run.masks.uniform() < p ? 0 : 1 / (1 - p));
        const Xd = run.X.with(K, (x, k) => x * k);
        const H = Xd.times(run.A);
        const error = H.times(run.B).scaled(run.scaling).minus(run.X.times(run.D));
        const dY = error.scaled(2 / error.data.length);
        run.loss = error.norm() ** 2 / error.data.length;
        run.dB = H.transposed.times(dY).scaled(run.scaling);
        run.dA = Xd.transposed.times(dY.times(run.B.transposed)).scaled(run.scaling);
        run.history.push({ step: run.step, loss: run.loss, dA: run.dA.norm(), dB: run.dB.norm() });
    },

    advance(run) {
        run.step++;
        const { lr, ratio, optimizer } = run.settings;
        run.A = this.moved(run, run.A, run.dA, lr, run.moments[0], optimizer);
        run.B = this.moved(run, run.B, run.dB, lr * ratio, run.moments[1], optimizer);
        this.look(run);
    },

    moved(run, P, g, rate, moment, optimizer) {
        if (optimizer === 'sgd') {
            return P.minus(g.scaled(rate));
        }
        const [b1, b2, eps] = [0.9, 0.999, 1e-8];
        moment.m = moment.m ? moment.m.scaled(b1).plus(g.scaled(1 - b1)) : g.scaled(1 - b1);
        moment.v = moment.v ? moment.v.scaled(b2).plus(g.map(x => (1 - b2) * x * x)) : g.map(x => (1 - b2) * x * x);
        const [c1, c2] = [1 - b1 ** run.step, 1 - b2 ** run.step];
        const update = moment.m.with(moment.v, (m, v) => m / c1 / (Math.sqrt(v / c2) + eps));
        return P.scaled(optimizer === 'adamw' ? 1 - rate * 0.01 : 1).minus(update.scaled(rate));
    },

    /** How much y changes in the first step, relative to another run's. */
    firstChange(options) {
        const run = this.start(options);
        const before = run.X.times(run.A).times(run.B).scaled(run.scaling);
        this.advance(run);
        return run.X.times(run.A).times(run.B).scaled(run.scaling).minus(before).norm();
    },
};

/** Each answer is found by running the experiment; nothing here says which is right. */
const Questions = [
    {
        text: 'A is drawn and B = 0. Which gradient is exactly 0 before the first step?',
        answers: ['dA', 'dB', 'both', 'neither'],
        set: { init: 'B0' },
        measure() {
            const run = Playground.start({ init: 'B0' });
            const [a, b] = [run.dA.norm(), run.dB.norm()];
            return { right: a === 0 ? (b === 0 ? 'both' : 'dA') : b === 0 ? 'dB' : 'neither',
                because: `‖dA‖ = ${short(a, 3)} and ‖dB‖ = ${short(b, 3)}: dA = s·Xᵀ·(dY·Bᵀ) has the factor B, dB = s·Hᵀ·dY has not.` };
        },
    },
    {
        text: 'A = 0 and B = 0. How far has the loss fallen after 100 steps?',
        answers: ['not at all', 'a little', 'to nearly 0'],
        set: { init: '00' },
        measure() {
            const run = Playground.start({ init: '00' });
            const first = run.loss;
            for (let k = 0; k < 100; k++) {
                Playground.advance(run);
            }
            const share = run.loss / first;
            return { right: share === 1 ? 'not at all' : share > 0.1 ? 'a little' : 'to nearly 0',
                because: `the loss went from ${short(first, 4)} to ${short(run.loss, 4)}: each gradient has the other matrix as a factor.` };
        },
    },
    {
        text: 'SGD, B = 0, alpha fixed. The rank grows from 1 to 8 under s = alpha/r. What does the first step’s change of y do?',
        answers: ['grows', 'stays about the same', 'shrinks'],
        set: { rank: 8, rule: 'r', optimizer: 'sgd' },
        measure: () => growth('r'),
    },
    {
        text: 'The same under s = alpha/√r?',
        answers: ['grows', 'stays about the same', 'shrinks'],
        set: { rank: 8, rule: 'sqrt', optimizer: 'sgd' },
        measure: () => growth('sqrt'),
    },
    {
        text: 'B = 0, and alpha is doubled. What happens to dB before the first step?',
        answers: ['same direction, same length', 'same direction, twice as long', 'another direction'],
        set: { alpha: 8 },
        measure() {
            const [one, two] = [4, 8].map(alpha => Playground.start({ alpha }).dB);
            const cosine = one.with(two, (x, y) => x * y).sum() / one.norm() / two.norm();
            const ratio = two.norm() / one.norm();
            return { right: cosine < 1 - 1e-9 ? 'another direction' : Math.abs(ratio - 2) < 1e-9
                ? 'same direction, twice as long' : 'same direction, same length',
                because: `the cosine between the two is ${short(cosine, 6)}, the ratio of their lengths ${short(ratio, 6)}. `
                    + 'Adam divides that length out again; what is left of alpha is the s in front of (xA)B.' };
        },
    },
];

/** How the first step's change of y grows with the rank under a rule, the middle of 31 seeds. */
function growth(rule) {
    const ratios = Array.from({ length: 31 }, (_, k) => {
        const [low, high] = [1, 8].map(rank => Playground.firstChange({ rank, rule, optimizer: 'sgd', seed: k + 1 }));
        return high / low;
    }).sort((a, b) => a - b);
    const ratio = ratios[15];
    return { right: ratio > 1.5 ? 'grows' : ratio < 1 / 1.5 ? 'shrinks' : 'stays about the same',
        because: `rank 8 changes y ${short(ratio, 3)} times as much as rank 1 (the middle of 31 seeds): y moves by s²·HHᵀ·dY, and HHᵀ grows with r.` };
}

const playView = {
    show() {
        const chosen = {};
        for (const [name, , values] of Playground.fields) {
            const known = values.map(value => String(Array.isArray(value) ? value[0] : value));
            const value = state.get(`play-${name}`, String(Playground.defaults[name]));
            chosen[name] = known.includes(value) && !Number.isNaN(Number(value)) && !Array.isArray(values[0]) ? Number(value)
                : known.includes(value) ? value : Playground.defaults[name];
        }
        chosen.seed = state.number('play-seed', 1, 1, 1e6);
        this.settings = chosen;
        fill('play-controls', ...Playground.fields.map(([name, label, values]) => selectField(label, name,
            values.map(value => Array.isArray(value) ? value : [String(value), String(value)]), String(chosen[name]),
            value => this.choose({ [name]: value }))));
        this.reset(state.number('play-steps', 0, 0, 5000));
        fill('play-questions', ...Questions.map((question, k) => this.question(question, k)));
    },

    choose(values) {
        for (const [name, value] of Object.entries(values)) {
            state.set(`play-${name}`, String(value));
        }
        state.set('play-steps', null);
        this.show();
        document.querySelector(`#play-controls [name="${Object.keys(values)[0]}"]`)?.focus();
    },

    reset(steps = 0) {
        this.run = Playground.start(this.settings);
        for (let k = 0; k < steps; k++) {
            Playground.advance(this.run);
        }
        this.draw();
    },

    steps(count) {
        for (let k = 0; k < count; k++) {
            Playground.advance(this.run);
        }
        state.set('play-steps', String(this.run.step));
        this.draw();
        announce(`step ${this.run.step}, loss ${short(this.run.loss, 4)}`);
    },

    draw() {
        const { run } = this;
        const points = key => run.history.map(entry => [entry.step, entry[key]]);
        const found = singularValues(run.A.times(run.B).scaled(run.scaling));
        const wanted = singularValues(run.D);
        fill('play-state', `step ${run.step} · loss ${short(run.loss, 4)} · s = ${short(run.scaling, 3)} · trains ${
            run.A.data.length + run.B.data.length} numbers, W has ${run.D.data.length}`);
        fill('play-charts',
            lineChart({ title: 'Loss', xName: 'step', yName: 'mean squared error', logY: true, width: 360, series: [{ name: 'loss', points: points('loss') }] }),
            lineChart({ title: 'Gradients', xName: 'step', yName: 'norm', logY: true, width: 360,
                series: [{ name: '‖dA‖', points: points('dA') }, { name: '‖dB‖', points: points('dB') }] }),
            lineChart({ title: 'Singular values: learned, and wanted', xName: 'number', yName: 'singular value', width: 360,
                series: [{ name: 's·AB', points: found.map((value, k) => [k + 1, value]) },
                    { name: 'D', points: wanted.map((value, k) => [k + 1, value]) }] }));
    },

    question(question, k) {
        const verdict = element('p', { 'aria-live': 'polite', class: 'small' });
        return element('fieldset', { class: 'card' }, element('legend', {}, `Question ${k + 1}`), element('p', {}, question.text),
            element('div', { class: 'controls' }, ...question.answers.map(answer => element('button', { type: 'button', class: 'action',
                onclick: () => {
                    const { right, because } = question.measure();
                    const hit = answer === right;
                    verdict.className = `small ${hit ? 'good-text' : 'bad-text'}`;
                    verdict.textContent = `${hit ? '✓ Yes' : '✗ No'}: measured just now, ${because}`;
                } }, answer)),
            element('button', { type: 'button', class: 'action', onclick: () => {
                this.choose(question.set);
                byId('play').scrollIntoView();
            } }, 'Set this up above')), verdict);
    },
};
