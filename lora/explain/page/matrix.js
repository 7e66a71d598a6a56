// A tensor engine of the page's own, in float64: what the C# engine computed in float32 is computed
// again here, and shares no line with it.

class Matrix {
    constructor(rows, columns, data = new Float64Array(rows * columns)) {
        this.rows = rows;
        this.columns = columns;
        this.data = data;
    }

    /** As C# wrote it: the shortest decimals that name the float32 numbers, or of a large matrix the bytes of float32, little-endian, in base64. */
    static from({ rows, columns, values, bytes }) {
        if (values) {
            return new Matrix(rows, columns, Float64Array.from(values, value => Math.fround(value)));
        }
        const view = new DataView(Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0)).buffer);
        return new Matrix(rows, columns, Float64Array.from({ length: rows * columns }, (_, k) => view.getFloat32(4 * k, true)));
    }

    static of(rows, columns, value) {
        const made = new Matrix(rows, columns);
        for (let i = 0; i < rows; i++) {
            for (let j = 0; j < columns; j++) {
                made.data[i * columns + j] = value(i, j);
            }
        }
        return made;
    }

    static scalar(value) {
        return new Matrix(1, 1, Float64Array.of(value));
    }

    at(i, j) {
        return this.data[i * this.columns + j];
    }

    get shape() {
        return `[${this.rows}, ${this.columns}]`;
    }

    get isScalar() {
        return this.rows === 1 && this.columns === 1;
    }

    copy() {
        return new Matrix(this.rows, this.columns, this.data.slice());
    }

    map(f) {
        return new Matrix(this.rows, this.columns, this.data.map(f));
    }

    /** Element by element; a single number stands for a whole matrix, a single row for all rows. */
    with(other, f) {
        const [rows, columns] = [Math.max(this.rows, other.rows), Math.max(this.columns, other.columns)];
        const fits = part => (part.rows === rows || part.rows === 1) && part.columns === columns || part.isScalar;
        if (!fits(this) || !fits(other)) {
            throw new Error(`${this.shape} and ${other.shape} differ in shape`);
        }
        const read = part => part.isScalar ? () => part.data[0]
            : part.rows === rows ? (i, j) => part.at(i, j) : (i, j) => part.at(0, j);
        const [left, right] = [read(this), read(other)];
        return Matrix.of(rows, columns, (i, j) => f(left(i, j), right(i, j)));
    }

    plus(other) {
        return this.with(other, (a, b) => a + b);
    }

    minus(other) {
        return this.with(other, (a, b) => a - b);
    }

    /** The matrix product. round is the identity, or Math.fround for float32 at every step. */
    times(other, round = value => value) {
        if (this.columns !== other.rows) {
            throw new Error(`${this.shape} times ${other.shape}: ${this.columns} columns, but ${other.rows} rows`);
        }
        return Matrix.of(this.rows, other.columns, (i, j) => {
            let sum = 0;
            for (let k = 0; k < this.columns; k++) {
                sum = round(sum + round(this.at(i, k) * other.at(k, j)));
            }
            return sum;
        });
    }

    get transposed() {
        return Matrix.of(this.columns, this.rows, (i, j) => this.at(j, i));
    }

    scaled(factor) {
        return this.map(value => factor * value);
    }

    sum() {
        return this.data.reduce((sum, value) => sum + value, 0);
    }

    norm() {
        return Math.hypot(...this.data);
    }

    largest() {
        return this.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    }
}

/**
 * Singular values, largest first: one-sided Jacobi, which turns pairs of columns until all are
 * orthogonal; their lengths are the singular values. For the small matrices of this page.
 */
function singularValues(matrix) {
    const columns = Array.from({ length: matrix.columns }, (_, j) =>
        Float64Array.from({ length: matrix.rows }, (_, i) => matrix.at(i, j)));
    const dot = (u, v) => u.reduce((sum, value, k) => sum + value * v[k], 0);
    for (let sweep = 0, turned = true; turned && sweep < 30; sweep++) {
        turned = false;
        for (let p = 0; p < columns.length; p++) {
            for (let q = p + 1; q < columns.length; q++) {
                const [a, b, c] = [dot(columns[p], columns[p]), dot(columns[q], columns[q]), dot(columns[p], columns[q])];
                if (Math.abs(c) <= 1e-13 * Math.sqrt(a * b)) {
                    continue;
                }
                turned = true;
                const zeta = (b - a) / (2 * c);
                const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
                const cosine = 1 / Math.hypot(1, t);
                for (let k = 0; k < matrix.rows; k++) {
                    const [x, y] = [columns[p][k], columns[q][k]];
                    columns[p][k] = cosine * (x - t * y);
                    columns[q][k] = cosine * (y + t * x);
                }
            }
        }
    }
    return columns.map(column => Math.sqrt(dot(column, column))).sort((a, b) => b - a);
}

/** Random numbers that a seed names (splitmix32), normal by Box and Muller. */
class RandomNumbers {
    constructor(seed) {
        this.state = seed | 0;
    }

    uniform() {
        this.state = this.state + 0x9e3779b9 | 0;
        let t = this.state ^ this.state >>> 16;
        t = Math.imul(t, 0x21f0aaad);
        t = Math.imul(t ^ t >>> 15, 0x735a2d97);
        return ((t ^ t >>> 15) >>> 0) / 2 ** 32;
    }

    normal() {
        return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
    }

    matrix(rows, columns, scale = 1) {
        return Matrix.of(rows, columns, () => scale * this.normal());
    }
}
