// How far float32 may be off: running error analysis. Beside every number goes a bound on what the
// engine's rounding can have done to it. One operation adds at most u = 2⁻²⁴ of its result; a sum of
// n products, in whatever order and with or without fused multiply-adds, at most γₙ = nu/(1 − nu) of
// the sum of their magnitudes (Higham, Accuracy and Stability, section 3.1). What came in too large
// or too small is carried on.

const unit = 2 ** -24;
const gamma = n => n * unit / (1 - n * unit);

/** A matrix with a bound for each element. */
class Bounded {
    constructor(value, bound = value.map(() => 0)) {
        this.value = value;
        this.bound = bound;
    }

    get rows() {
        return this.value.rows;
    }

    get columns() {
        return this.value.columns;
    }

    get shape() {
        return this.value.shape;
    }

    get isScalar() {
        return this.value.isScalar;
    }

    /** The largest magnitude that float32 can have had there. */
    get reach() {
        return this.value.with(this.bound, (value, bound) => Math.abs(value) + bound);
    }

    /** The same with one more rounding. */
    rounded() {
        return new Bounded(this.value, this.bound.with(this.reach, (bound, reach) => bound + unit * reach));
    }
}

/** The arithmetic of formulas (see Plain), with bounds. */
const WithBounds = {
    number: value => new Bounded(Matrix.scalar(value), Matrix.scalar(value === Math.fround(value) ? 0 : unit * Math.abs(value))),
    transpose: a => new Bounded(a.value.transposed, a.bound.transposed),
    scale: (a, factor) => WithBounds.multiply(a, factor),
    add: (a, b) => new Bounded(a.value.plus(b.value), a.bound.with(b.bound, (x, y) => x + y).plus(a.value.with(b.value, () => 0))).rounded(),
    subtract: (a, b) => new Bounded(a.value.minus(b.value), a.bound.with(b.bound, (x, y) => x + y).plus(a.value.with(b.value, () => 0))).rounded(),
    multiply: (a, b) => new Bounded(a.value.with(b.value, (x, y) => x * y),
        a.reach.with(b.reach, (x, y) => x * y).minus(a.value.with(b.value, (x, y) => Math.abs(x * y)))).rounded(),
    divide(a, b) {
        const value = a.value.with(b.value, (x, y) => x / y);
        const smallest = b.value.with(b.bound, (y, bound) => Math.max(0, Math.abs(y) - bound));
        const bound = a.bound.plus(value.with(b.bound, (q, y) => Math.abs(q) * y)).with(smallest, (sum, y) => sum === 0 ? 0 : sum / y);
        return new Bounded(value, bound).rounded();
    },
    product(a, b) {
        const [reach, exact] = [a.reach.times(b.reach), a.value.map(Math.abs).times(b.value.map(Math.abs))];
        const carried = reach.minus(exact);
        return new Bounded(a.value.times(b.value), carried.plus(reach.scaled(gamma(a.columns))));
    },
    sqrt(a) {
        const value = a.value.map(Math.sqrt);
        return new Bounded(value, a.value.with(a.bound, (x, bound) =>
            bound === 0 ? 0 : x > bound ? bound / (Math.sqrt(x) + Math.sqrt(x - bound)) : Math.sqrt(x + bound))).rounded();
    },
    // the engine forms powers of β in double
    power: (a, b) => new Bounded(Plain.power(a.value, b.value)),
    reshaped: a => new Bounded(Plain.reshaped(a.value), Plain.reshaped(a.bound)),
    total: a => new Bounded(Plain.total(a.value), Matrix.scalar(a.bound.sum() + gamma(a.value.data.length) * a.reach.sum())),
    foreign: (a, other) => new Bounded(Plain.foreign(a.value, other.value), Plain.foreign(a.bound, other.bound)),
};
