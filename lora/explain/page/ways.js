// Three ways to one gradient, and what the step h of a finite difference does to it.

/** float32 arithmetic: every result rounded. */
const InFloat32 = Object.fromEntries(Object.entries(Plain).map(([name, operation]) =>
    [name, name === 'product' ? (a, b) => a.times(b, Math.fround) : (...values) => operation(...values).map(Math.fround)]));

const waysView = {
    /** The loss as a function of one entry of A or B: the true one in the example, ⟨dY, s·HB⟩ in a layer. */
    lossAlong(which, at, algebra) {
        const round = algebra === Plain ? value => value : Math.fround;
        return moved => {
            const [A, B] = ['A', 'B'].map(name => {
                const matrix = inputs[name].copy();
                if (name === which) {
                    matrix.data[at] = round(matrix.data[at] + moved);
                }
                return matrix;
            });
            if (!exampleOf('example')) {
                return updatePairing(batchMatrices[0][0], A, B, algebra);
            }
            return lossOf(batchMatrices[0], A, B, algebra);
        };
    },

    /** dA or dB by the formulas, whatever mistake is switched on. */
    closedForm(which) {
        return exampleOf('example') ? runAll(Plain)[0][`g${which}`] : proof.find(found => found.id === `g${which}-0`).page.value;
    },

    show() {
        const of = state.get('of', 'gA-0');
        const which = of === 'gB-0' ? 'B' : 'A';
        const engine = Matrix.from(which === 'A' ? data.steps[0].engine.dA : data.steps[0].engine.dB);
        const known = of === 'gA-0' || of === 'gB-0';
        const [i, j] = known ? [state.number('i', 0, 0, engine.rows - 1), state.number('j', 0, 0, engine.columns - 1)] : [0, 0];
        const at = i * engine.columns + j;
        const closed = this.closedForm(which).at(i, j);
        const losses = [Plain, InFloat32].map(algebra => this.lossAlong(which, at, algebra));
        const central = (loss, h) => (loss(h) - loss(-h)) / (2 * h);
        const curves = {
            'central, float64': h => central(losses[0], h),
            'one-sided, float64': h => (losses[0](h) - losses[0](0)) / h,
            'central, float32': h => central(losses[1], h),
            'one-sided, float32': h => (losses[1](h) - losses[1](0)) / h,
        };
        const exponents = Array.from({ length: 34 }, (_, k) => -0.5 - k * 0.35);
        const errors = f => exponents.map(x => [10 ** x, Math.abs(f(10 ** x) - closed)]);
        this.series = Object.entries(curves).map(([name, f]) => ({ name, points: errors(f) }));
        this.place = `d${which}[${i}, ${j}]`;
        const notes = ['rounding 2⁻⁵³/h', 'truncation h, rounding 2⁻⁵³/h', 'rounding 2⁻²⁴/h: why tests take a float64 reference', 'truncation h, rounding 2⁻²⁴/h'];
        this.drawAt = exponent => {
            const h = 10 ** exponent;
            fill('ways-chart', lineChart({ title: `${this.place}: how far the difference is from the closed form, by the step h`, xName: 'h', yName: 'error',
                logX: true, logY: true, series: this.series, marker: h }));
            const value = (name, number, note) => ({ cells: [name, short(number, 9), number === closed ? '0' : rough(Math.abs(number - closed)), note] });
            const best = this.series.map(line => line.points.filter(point => point[1] > 0).reduce((least, point) => point[1] < least[1] ? point : least, [NaN, Infinity]));
            fill('ways-table', plainTable(`${this.place} three ways, h = ${rough(h)}`, ['way', 'value', 'difference', 'what limits it'], [
                value('closed form, float64', closed, data.backward[which]),
                value('autograd, the engine’s float32', engine.at(i, j), 'rounding: 2⁻²⁴ of each term'),
                ...Object.keys(curves).map((name, k) => value(`${name} difference`.replace(',', ' difference,').replace(/ difference$/, ''), curves[name](h),
                    `${notes[k]}; best near h = ${rough(best[k][0])}`)),
            ]));
        };
        const slider = byId('ways-h');
        slider.value = String(state.number('h', -5, -12, -1));
        this.move(Number(slider.value));
    },

    move(exponent) {
        byId('ways-h-value').textContent = `h = ${rough(10 ** exponent)}`;
        byId('ways-h').setAttribute('aria-valuetext', `h = 10 to the ${exponent}`);
        this.drawAt(exponent);
    },
};
