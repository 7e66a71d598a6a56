// Formulas as one writes them: names, numbers, + − * (matrix product, or a number times a matrix),
// .* and ./ (element by element), ' (transposed), brackets. · ⊙ ᵀ − are understood too. Read by the
// parser below; nothing is ever handed to JavaScript to run.

class Formula {
    /** sqrt and power are element by element; reshaped reads A's memory as if it were Aᵀ; foreign has another matrix's first row. */
    static functions = ['sqrt', 'power', 'total', 'reshaped', 'foreign'];

    constructor(text) {
        this.tokens = Formula.tokens(text);
        this.next = 0;
        this.tree = this.sum();
        if (this.next < this.tokens.length) {
            throw new Error(`'${this.tokens[this.next]}' stands where nothing should follow`);
        }
    }

    static tokens(text) {
        const found = [];
        const pattern = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|([\p{L}_][\p{L}\p{M}\p{N}_]*)|(\.\*|\.\/|[+\-−*·⊙/(),'ᵀ]))/uy;
        text = text.trim();
        while (pattern.lastIndex < text.length) {
            const at = pattern.lastIndex;
            const match = pattern.exec(text);
            if (!match) {
                throw new Error(`'${text.slice(at).trim()[0]}' is not part of a formula`);
            }
            found.push({ '−': '-', '·': '*', '⊙': '.*', 'ᵀ': '\'' }[match[3]] ?? match[1] ?? match[2] ?? match[3]);
        }
        return found;
    }

    take(...accepted) {
        return accepted.includes(this.tokens[this.next]) ? this.tokens[this.next++] : null;
    }

    sum() {
        let left = this.product();
        for (let sign; (sign = this.take('+', '-'));) {
            left = { kind: sign, left, right: this.product() };
        }
        return left;
    }

    product() {
        let left = this.signed();
        for (let sign; (sign = this.take('*', '.*', './', '/'));) {
            left = { kind: sign, left, right: this.signed() };
        }
        return left;
    }

    signed() {
        return this.take('-') ? { kind: 'minus', left: this.signed() } : this.transposed();
    }

    transposed() {
        let inner = this.atom();
        while (this.take('\'')) {
            inner = { kind: '\'', left: inner };
        }
        return inner;
    }

    atom() {
        if (this.take('(')) {
            const inner = this.sum();
            if (!this.take(')')) {
                throw new Error('a bracket is not closed');
            }
            return inner;
        }
        const token = this.tokens[this.next];
        if (token === undefined) {
            throw new Error('the formula ends too early');
        }
        this.next++;
        if (Formula.functions.includes(token) && this.take('(')) {
            const inputs = [this.sum()];
            while (this.take(',')) {
                inputs.push(this.sum());
            }
            if (!this.take(')')) {
                throw new Error('a bracket is not closed');
            }
            return { kind: 'function', name: token, inputs };
        }
        if (/^\d/.test(token)) {
            return { kind: 'number', value: Number(token) };
        }
        if (!/^[\p{L}_]/u.test(token)) {
            throw new Error(`'${token}' stands where a name or number should`);
        }
        return { kind: 'name', name: token };
    }

    /** Its value. names: what each name stands for; algebra: how to calculate, see Plain. */
    value(names, algebra = Plain, tree = this.tree) {
        const of = part => this.value(names, algebra, part);
        switch (tree.kind) {
            case 'number': return algebra.number(tree.value);
            case 'name':
                if (!names.has(tree.name)) {
                    throw new Error(`there is no ${tree.name} here; the names are ${[...names.keys()].join(', ')}`);
                }
                return names.get(tree.name);
            case 'function': return algebra[tree.name](...tree.inputs.map(of));
            case 'minus': return algebra.scale(of(tree.left), algebra.number(-1));
            case '\'': return algebra.transpose(of(tree.left));
            case '+': return algebra.add(of(tree.left), of(tree.right));
            case '-': return algebra.subtract(of(tree.left), of(tree.right));
            case '.*': return algebra.multiply(of(tree.left), of(tree.right));
            case '*': return Formula.times(of(tree.left), of(tree.right), algebra);
            default: return algebra.divide(of(tree.left), of(tree.right));
        }
    }

    static times(left, right, algebra) {
        return left.isScalar ? algebra.scale(right, left) : right.isScalar ? algebra.scale(left, right)
            : algebra.product(left, right);
    }
}

/** Plain float64 arithmetic. */
const Plain = {
    number: value => Matrix.scalar(value),
    scale: (matrix, factor) => matrix.scaled(factor.data[0]),
    transpose: matrix => matrix.transposed,
    add: (a, b) => a.plus(b),
    subtract: (a, b) => a.minus(b),
    multiply: (a, b) => a.with(b, (x, y) => x * y),
    divide: (a, b) => a.with(b, (x, y) => x / y),
    product: (a, b) => a.times(b),
    sqrt: a => a.map(Math.sqrt),
    power: (a, b) => a.with(b, (x, y) => x ** y),
    reshaped: a => new Matrix(a.columns, a.rows, a.data),
    total: a => Matrix.scalar(a.sum()),
    foreign: (a, other) => Matrix.of(a.rows, a.columns, (i, j) => i === 0 ? other.at(0, j) : a.at(i, j)),
};
