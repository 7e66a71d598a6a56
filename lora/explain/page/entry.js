// One number: choose an entry of a gradient, and see the products that it is the sum of.

const MostCells = 16;       // tables up to 16 × 16; beyond, statistics and the largest entries

const isSmall = matrix => matrix.rows <= MostCells && matrix.columns <= MostCells;

const entryView = {
    /** What can be chosen: how each entry is a sum, and which rows and columns it reads. */
    choices() {
        if (this.known) {
            return this.known;
        }
        const step = data.steps[0];
        const batches = batchMatrices[0];
        const run = exampleOf('example') ? runAll(Plain)[0].batches : [layerNames()];
        const token = (k, n) => `${step.batches[k].rows[n]} in ${step.batches[k].texts[n]}`;
        const overRows = (left, right, i, j, factor = 1) => run.flatMap((names, k) =>
            Array.from({ length: batches[k].X.rows }, (_, n) => ({ label: token(k, n), group: step.batches[k].texts[n],
                left: names.get(left).at(n, i), right: names.get(right).at(n, j), factor })));
        const s = data.constants.s;
        const one = matrix => matrix ?? null;
        const known = [
            { id: 'gA-0', name: 'dA', sum: data.backward.A, engine: Matrix.from(step.engine.dA), leftName: 'X̃[n, i]', rightName: 'dH[n, k]',
                letters: ['i', 'k'], factors: [['X̃', 'Xd', 'column', 0], ['dH', 'dH', 'column', 1]], terms: (i, k) => overRows('Xd', 'dH', i, k) },
            { id: 'gB-0', name: 'dB', sum: data.backward.B, engine: Matrix.from(step.engine.dB), leftName: 's·H[n, k]', rightName: 'dY[n, j]',
                letters: ['k', 'j'], factors: [['H', 'H', 'column', 0], ['dY', 'dY', 'column', 1]], terms: (k, j) => overRows('H', 'dY', k, j, s) },
        ];
        if (exampleOf('example')) {
            const [W, A, B, bias] = [inputs.W, inputs.A, inputs.B, one(inputs.bias)];
            const range = (count, term) => Array.from({ length: count }, (_, k) => term(k));
            step.batches.forEach((batch, k) => {
                const names = run[k];
                const kept = (n, i) => batches[k].M.at(n, i) / (1 - data.constants.p);
                const where = `, micro-batch ${k + 1}`;
                known.push({ id: `dX-0-${k}`, name: `dX${where}`, sum: data.backward.X, engine: Matrix.from(batch.engine.dX), batch: k, leftName: 'from above', rightName: 'weight',
                    letters: ['n', 'i'], rowName: n => batch.rows[n], factors: [['dY', 'dY', 'row', 0], ['dH', 'dH', 'row', 0]],
                    terms: (n, i) => [...range(W.rows, j => ({ label: `through W, output ${j}`, group: 'through W', left: names.get('dY').at(n, j), right: W.at(j, i), factor: 1 })),
                        ...range(A.columns, r => ({ label: `through A, rank ${r}`, group: 'through the adapter', left: names.get('dH').at(n, r), right: A.at(i, r), factor: kept(n, i) }))] },
                { id: `Y-0-${k}`, name: `y${where}`, sum: data.backward.Y, engine: Matrix.from(batch.engine.y), batch: k, leftName: 'input', rightName: 'weight',
                    letters: ['n', 'j'], rowName: n => batch.rows[n], factors: [['X', 'X', 'row', 0], ['H', 'H', 'row', 0]],
                    terms: (n, j) => [...range(W.columns, i => ({ label: `through W, input ${i}`, group: 'through W', left: batches[k].X.at(n, i), right: W.at(j, i), factor: 1 })),
                        ...bias ? [{ label: 'bias', group: 'through W', left: 1, right: bias.at(0, j), factor: 1 }] : [],
                        ...range(A.columns, r => ({ label: `through B, rank ${r}`, group: 'through the adapter', left: names.get('H').at(n, r), right: B.at(r, j), factor: s }))] });
            });
        }
        this.run = run;
        return this.known = known;
    },

    show() {
        const known = this.choices();
        const chosen = known.find(choice => choice.id === state.get('of', 'gA-0')) ?? known[0];
        const { engine } = chosen;
        const [i, j] = [state.number('i', 0, 0, engine.rows - 1), state.number('j', 0, 0, engine.columns - 1)].map(Math.floor);
        const rowName = chosen.rowName ?? String;
        const pick = (row, column) => this.choose(chosen.id, row, column, true);
        const where = field => (event => pick(field === 'i' ? Number(event.target.value) : i, field === 'j' ? Number(event.target.value) : j));
        fill('entry-choice', selectField('which matrix', 'of', known.map(choice => [choice.id, choice.name]), chosen.id, value => this.choose(value, 0, 0)),
            ...isSmall(engine) ? [] : ['i', 'j'].map((field, k) => element('label', { class: 'field' }, `${k ? 'column' : 'row'} ${chosen.letters[k]}, 0 to ${(k ? engine.columns : engine.rows) - 1}`,
                element('input', { type: 'number', min: 0, max: (k ? engine.columns : engine.rows) - 1, value: k ? j : i, onchange: where(field) }))));
        fill('entry-table', isSmall(engine) ? matrixTable(engine, `${chosen.name} ${engine.shape}`, { pick, picked: [i, j], rowName })
            : this.largest(chosen, pick));
        this.arithmetic(chosen, i, j, rowName);
    },

    /** For a large matrix: its largest entries, to choose among. */
    largest({ engine, name }, pick) {
        const places = [...engine.data.keys()].sort((p, q) => Math.abs(engine.data[q]) - Math.abs(engine.data[p])).slice(0, 12);
        return element('div', {}, element('p', { class: 'small muted' }, `The largest entries of ${name} ${engine.shape}:`),
            element('div', { class: 'controls' }, ...places.map(at => {
                const [i, j] = [Math.floor(at / engine.columns), at % engine.columns];
                return element('button', { type: 'button', class: 'action', onclick: () => pick(i, j) }, `[${i}, ${j}] ${short(engine.data[at], 3)}`);
            })));
    },

    choose(id, i, j, stay = false) {
        state.set('of', id);
        state.set('i', String(i));
        state.set('j', String(j));
        this.show();
        waysView.show();
        if (stay) {
            document.querySelector(`#entry-table button.cell[data-i="${i}"][data-j="${j}"]`)?.focus();
        }
    },

    arithmetic(chosen, i, j, rowName) {
        const terms = chosen.terms(i, j).map(term => ({ ...term, product: term.factor * term.left * term.right }))
            .sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
        const total = terms.reduce((sum, term) => sum + term.product, 0);
        const most = Math.abs(terms[0].product) || 1;
        const groups = new Map();
        for (const { group, product } of terms) {
            groups.set(group, (groups.get(group) ?? 0) + product);
        }
        let sum = 0;
        const listed = terms.slice(0, 64).map(term => {
            sum += term.product;
            return { cells: [term.label, short(term.factor === 1 ? term.left : term.factor * term.left, 4), short(term.right, 4),
                element('span', { class: 'bar-cell' }, bar(term.product, most), short(term.product, 4)), short(sum, 4)] };
        });
        const place = `${chosen.name.split(',')[0]}[${chosen.rowName ? rowName(i) : i}, ${j}]`;
        const sums = [...groups].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
        const [largest] = sums;
        fill('entry-sum',
            element('p', { class: 'equation' }, `${place} = ${chosen.sum} = ${short(total, 7)}`),
            element('p', {}, `The engine has ${short(chosen.engine.at(i, j), 9)}. Of ${terms.length} products, ${terms.length > 1 ? 'the largest comes from ' : 'it is '}`,
                element('strong', {}, terms[0].label), `; summed by ${chosen.batch === undefined ? 'text' : 'path'}, most comes from `, element('strong', {}, largest[0]), ` (${short(largest[1], 4)}).`),
            plainTable(`The products, largest first${terms.length > 64 ? ` (64 of ${terms.length})` : ''}`, [chosen.batch === undefined ? 'token' : 'path', chosen.leftName, chosen.rightName, 'product', 'running sum'], listed),
            plainTable(chosen.batch === undefined ? 'Who pushed this weight: the same products, by text' : 'The same products, by path', [chosen.batch === undefined ? 'text' : 'path', 'sum', 'share'],
                sums.map(([name, value]) => ({ cells: [name, short(value, 4), bar(value, Math.abs(largest[1]) || 1)] }))));
        fill('entry-factors', ...this.factors(chosen, [i, j]));
        announce(`${place} is ${short(total, 5)}`);
    },

    /** The matrices that the entry reads, with the row or column that it reads marked. */
    factors(chosen, at) {
        return this.run.flatMap((names, k) => chosen.batch !== undefined && chosen.batch !== k ? [] : chosen.factors.map(([title, name, way, which]) => {
            const matrix = names.get(name);
            if (!isSmall(matrix)) {
                return null;
            }
            const lit = (i, j) => (way === 'row' ? i : j) === at[which] ? 'row' : '';
            const caption = `${title}${this.run.length > 1 ? `, micro-batch ${k + 1}` : ''}: ${way} ${way === 'row' ? data.steps[0].batches[k].rows[at[which]] : at[which]}`;
            return matrixTable(matrix, caption, { lit, rowName: n => data.steps[0].batches[k].rows[n] });
        })).filter(Boolean);
    },
};

/** A bar to the right for what is above zero, to the left for what is below. */
function bar(value, most) {
    const length = Math.round(44 * Math.abs(value) / most);
    return element('svg', { class: 'bar', viewBox: '0 0 90 10', width: 90, height: 10, 'aria-hidden': 'true' },
        element('line', { class: 'grid', x1: 45, x2: 45, y1: 0, y2: 10 }),
        element('rect', { class: value > 0 ? 'p7' : 'n7', x: value > 0 ? 45 : 45 - length, y: 1, width: length, height: 8 }));
}
