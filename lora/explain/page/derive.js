// Derive it: the reader types a gradient; it is evaluated on matrices drawn for the occasion and
// compared with differences of the forward formula. No answer is stored as text to be compared with.

const Puzzles = [
    {
        name: 'A linear layer', forward: 'X * W\'', wrt: 'X', shapes: { X: ['N', 'in'], W: ['out', 'in'], dY: ['N', 'out'] },
        ask: 'y = X·Wᵀ. What is dX, the gradient of the loss with respect to X?',
        hint: 'dL = ⟨dY, δX·Wᵀ⟩, and a factor moves to the other side transposed. The shapes leave one choice.',
        solution: 'dY * W',
    },
    {
        name: 'Its weight', forward: 'X * W\'', wrt: 'W', shapes: { X: ['N', 'in'], W: ['out', 'in'], dY: ['N', 'out'] },
        ask: 'The same layer: what would dW be, if W were not frozen?',
        hint: '[out, in] from dY [N, out] and X [N, in]: the sum runs over the rows.',
        solution: 'dY\' * X',
    },
    {
        name: 'LoRA’s B', forward: 's * (X * A) * B', wrt: 'B', shapes: { X: ['N', 'in'], A: ['in', 'r'], B: ['r', 'out'], dY: ['N', 'out'], s: null },
        ask: 'y = s·(XA)B. What is dB?',
        hint: 'Call H = XA. Then it is the weight of a linear layer again, with a number in front.',
        solution: 's * (X * A)\' * dY',
    },
    {
        name: 'LoRA’s A', forward: 's * (X * A) * B', wrt: 'A', shapes: { X: ['N', 'in'], A: ['in', 'r'], B: ['r', 'out'], dY: ['N', 'out'], s: null },
        ask: 'And dA? Put the brackets so that nothing of the size of W is formed.',
        hint: 'First dH = s·dY·Bᵀ [N, r], then as for B.',
        solution: 's * X\' * (dY * B\')',
    },
    {
        name: 'The input', forward: 'X * W\' + s * (X * A) * B', wrt: 'X',
        shapes: { X: ['N', 'in'], W: ['out', 'in'], A: ['in', 'r'], B: ['r', 'out'], dY: ['N', 'out'], s: null },
        ask: 'X goes two ways: y = X·Wᵀ + s·(XA)B. What is dX?',
        hint: 'The two paths add.',
        solution: 'dY * W + s * (dY * B\') * A\'',
    },
    {
        name: 'Dropout', forward: 's * ((K .* X) * A) * B', wrt: 'X',
        shapes: { X: ['N', 'in'], K: ['N', 'in'], A: ['in', 'r'], B: ['r', 'out'], dY: ['N', 'out'], s: null },
        ask: 'Dropout multiplies X element by element (.*) with the mask K = M/(1−p). What is dX?',
        hint: 'Where an element was dropped, nothing comes back.',
        solution: 'K .* (s * (dY * B\') * A\')',
    },
    {
        name: 'QA-LoRA’s pooled A', forward: 's * (k * X * G * A) * B', wrt: 'A',
        shapes: { X: ['N', 'in'], G: ['in', 'L'], A: ['L', 'r'], B: ['r', 'out'], dY: ['N', 'out'], s: null, k: null },
        ask: 'QA-LoRA sums the inputs of each group: P = k·X·G with G of zeros and ones. y = s·(PA)B. What is dA [L, r]?',
        hint: 'P stands where X stood.',
        solution: 's * (k * X * G)\' * (dY * B\')',
    },
    {
        name: 'The zero’s merge', solve: 'Z', residual: '(a * G\') .* (q - Z * G\') - ((a * G\') .* (q - z * G\') + s * k * (G * A * B)\')',
        shapes: { G: ['in', 'L'], A: ['L', 'r'], B: ['r', 'out'], a: ['out', 'L'], z: ['out', 'L'], q: ['out', 'in'], s: null, k: null },
        ask: 'A packed weight is a·(q − z), scale a and zero z [out, L] for each group. Which zeros Z [out, L] take the update s·k·(AB)ᵀ in, '
            + 'with the codes q as they are?',
        hint: 'a·(q − Z) = a·(q − z) + s·k·(AB)ᵀ, for each group. ./ divides element by element.',
        solution: 'z - s * k * (A * B)\' ./ a',
    },
];

const Sizes = { N: 5, in: 6, out: 4, r: 2, L: 3 };

/** Fresh matrices for a puzzle; G sums neighbours, scales stay away from zero. */
function drawn(puzzle, random) {
    const names = new Map();
    for (const [name, shape] of Object.entries(puzzle.shapes)) {
        const value = !shape ? Matrix.scalar(0.5 + random.uniform())
            : name === 'G' ? Matrix.of(Sizes.in, Sizes.L, (i, l) => Math.floor(i / 2) === l ? 1 : 0)
            : name === 'K' ? Matrix.of(Sizes.N, Sizes.in, () => random.uniform() < 0.3 ? 0 : 1 / 0.7)
            : name === 'a' ? Matrix.of(Sizes.out, Sizes.L, () => 0.5 + random.uniform())
            : random.matrix(Sizes[shape[0]], Sizes[shape[1]]);
        names.set(name, value);
    }
    return names;
}

/** How far an answer is off, as a share of what is right; throws what the reader should be told. */
function wrongBy(puzzle, text, random) {
    const names = drawn(puzzle, random);
    const typed = new Formula(text);
    const answer = typed.value(new Map([...names].filter(([name]) => name !== puzzle.solve)));
    if (puzzle.solve) {
        expectShape(answer, names.get('z'));
        const update = new Formula('s * k * (G * A * B)\'').value(names);
        return new Formula(puzzle.residual).value(new Map([...names, [puzzle.solve, answer]])).largest() / update.largest();
    }
    const variable = names.get(puzzle.wrt);
    expectShape(answer, variable);
    const forward = new Formula(puzzle.forward);
    const numeric = differences(variable, moved =>
        forward.value(new Map([...names, [puzzle.wrt, moved]])).with(names.get('dY'), (y, u) => y * u).sum());
    return answer.minus(numeric).largest() / numeric.largest();
}

function expectShape(answer, wanted) {
    if (answer.shape !== wanted.shape) {
        throw new Error(`the answer is ${answer.shape} on the drawn matrices, it should be ${wanted.shape}`);
    }
}

/** Central differences of a function of a matrix, element by element. */
function differences(matrix, loss, h = 1e-5) {
    const moved = matrix.copy();
    return Matrix.of(matrix.rows, matrix.columns, (i, j) => {
        const at = i * matrix.columns + j;
        const value = moved.data[at];
        moved.data[at] = value + h;
        const above = loss(moved);
        moved.data[at] = value - h;
        const below = loss(moved);
        moved.data[at] = value;
        return (above - below) / (2 * h);
    });
}

const deriveView = {
    show() {
        const solved = new Set(state.get('solved', '').split('.').filter(Boolean));
        fill('derive-puzzles', element('p', { class: 'muted small', id: 'derive-score' }, this.score(solved)),
            ...Puzzles.map((puzzle, k) => this.puzzle(puzzle, k, solved)));
    },

    score: solved => `${solved.size} of ${Puzzles.length} solved. Write * for a product, ' for transposed, .* element by element.`,

    puzzle(puzzle, k, solved) {
        const id = `derive-${k}`;
        const verdict = element('p', { id: `${id}-verdict`, 'aria-live': 'polite', class: solved.has(String(k)) ? 'small good-text' : 'small' },
            solved.has(String(k)) ? '✓ solved' : '');
        const input = element('input', { id, type: 'text', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', class: 'mono',
            'aria-describedby': `${id}-verdict ${id}-names`, placeholder: puzzle.solve ? 'z − …' : 'dY …' });
        const check = event => {
            event.preventDefault();
            try {
                const error = wrongBy(puzzle, input.value, new RandomNumbers(Math.random() * 2 ** 32));
                const right = error < 1e-6;
                verdict.className = `small ${right ? 'good-text' : 'bad-text'}`;
                verdict.textContent = right ? `✓ Right: on fresh matrices it differs from ${puzzle.solve ? 'the update' : 'finite differences'} by ${rough(error)}.`
                    : `✗ Not yet: on fresh matrices it is off by ${short(100 * error, 3)} % of the largest number.`;
                if (right) {
                    solved.add(String(k));
                    state.set('solved', [...solved].sort().join('.'));
                    byId('derive-score').textContent = this.score(solved);
                }
            } catch (error) {
                verdict.className = 'small bad-text';
                verdict.textContent = `✗ ${error.message}.`;
            }
        };
        const names = Object.entries(puzzle.shapes).map(([name, shape]) => shape ? `${name} [${shape.join(', ')}]` : name).join(' · ');
        return element('form', { class: 'card', onsubmit: check }, element('h3', {}, `${k + 1}. ${puzzle.name}`), element('p', {}, puzzle.ask),
            element('p', { class: 'muted small', id: `${id}-names` }, `Names: ${names}`),
            element('div', { class: 'controls' }, element('label', { class: 'field', for: id }, puzzle.solve ? `${puzzle.solve} =` : `d${puzzle.wrt} =`, input),
                element('button', { type: 'submit', class: 'action main' }, 'Check')), verdict,
            element('details', {}, element('summary', {}, 'Hint'), element('p', {}, puzzle.hint)),
            element('details', {}, element('summary', {}, 'Solution'), element('p', { class: 'mono' }, puzzle.solution)));
    },
};
