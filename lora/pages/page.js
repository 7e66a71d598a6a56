// What every page's script can use. Elements are made of nodes and texts, never of markup, so that
// no text can become an element.

/** An element: attributes by name, listeners as functions under on…, children as nodes or texts. */
function element(name, attributes = {}, ...children) {
    const svg = ['svg', 'path', 'g', 'text', 'line', 'polyline', 'circle', 'rect', 'title'].includes(name);
    const made = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (typeof value === 'function') {
            made.addEventListener(key.slice(2), value);
        } else if (value !== false && value !== null && value !== undefined) {
            made.setAttribute(key, value === true ? '' : value);
        }
    }
    made.append(...children.filter(child => child !== null && child !== undefined));
    return made;
}

const byId = id => document.getElementById(id);

/** Puts new contents into an element. */
function fill(id, ...children) {
    byId(id).replaceChildren(...children.filter(child => child !== null && child !== undefined));
}

/** Says something to a screen reader, politely. */
function announce(text) {
    byId('announcer').textContent = text;
}

// ---------------------------------------------------------------- numbers

/** A number to be read: five digits that count, a true minus sign. */
function short(value, digits = 5) {
    if (value === 0) {
        return '0';
    }
    if (!Number.isFinite(value)) {
        return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
    }
    const size = Math.abs(value);
    const text = size >= 1e-4 && size < 1e6
        ? String(Number(value.toPrecision(digits))) : value.toExponential(Math.min(2, digits - 1));
    return text.replace(/-/g, '−');
}

/** A tolerance or a difference: two digits, 3.1e−8. */
const rough = value => value === 0 ? '0' : value.toExponential(1).replace(/-/g, '−');

// ---------------------------------------------------------------- state in the address

/** What the reader has chosen stands in the address behind #, so that a link is a session. */
const state = {
    values: new URLSearchParams(location.hash.includes('=') ? location.hash.slice(1) : ''),
    get(name, fallback) {
        return this.values.get(name) ?? fallback;
    },
    number(name, fallback, low, high) {
        const value = Number(this.values.get(name) ?? NaN);
        return Number.isFinite(value) && value >= low && value <= high ? value : fallback;
    },
    set(name, value) {
        if (value === null || value === '') {
            this.values.delete(name);
        } else {
            this.values.set(name, value);
        }
        const address = this.values.toString();
        history.replaceState(null, '', address ? `#${address}` : location.pathname + location.search);
    },
};

// ---------------------------------------------------------------- matrices as pictures and tables

const Levels = 8;       // shades on either side of zero, as in page.css

/** p1 … p8 above zero, n1 … n8 below, z for zero; largest is the darkest. */
function shade(value, largest) {
    const level = largest > 0 ? Math.min(Levels, Math.ceil(Levels * Math.abs(value) / largest)) : 0;
    return level === 0 ? 'z' : `${value > 0 ? 'p' : 'n'}${level}`;
}

/** A heat map: one path for each shade, a square for each number. Its table says the same in words. */
function heatMap(matrix, label) {
    const largest = matrix.largest();
    const paths = new Map();
    for (let i = 0; i < matrix.rows; i++) {
        for (let j = 0; j < matrix.columns; j++) {
            const name = shade(matrix.at(i, j), largest);
            paths.set(name, `${paths.get(name) ?? ''}M${j} ${i}h1v1h-1z`);
        }
    }
    return element('svg', { class: 'heat', viewBox: `0 0 ${matrix.columns} ${matrix.rows}`, role: 'img', 'aria-label': label,
        width: matrix.columns * 14, height: matrix.rows * 14 },
        ...[...paths].map(([name, d]) => element('path', { class: name, d })));
}

/**
 * A table whose cells are shaded. With options.pick, cells are buttons that arrow keys walk through
 * (one stop for Tab); options.lit(i, j) names a class for cells to be shown.
 */
function matrixTable(matrix, caption, options = {}) {
    const largest = options.largest ?? matrix.largest();
    const rowName = options.rowName ?? (i => String(i));
    const columnName = options.columnName ?? (j => String(j));
    const picked = options.picked ?? [0, 0];
    const body = element('tbody');
    for (let i = 0; i < matrix.rows; i++) {
        const row = element('tr', {}, element('th', { scope: 'row' }, rowName(i)));
        for (let j = 0; j < matrix.columns; j++) {
            const value = short(matrix.at(i, j), 4);
            const classes = [shade(matrix.at(i, j), largest), options.lit?.(i, j) ?? '', options.pick ? 'choice' : ''].join(' ').trim();
            row.append(element('td', { class: classes }, options.pick
                ? element('button', { type: 'button', class: 'cell', 'data-i': i, 'data-j': j,
                    tabindex: i === picked[0] && j === picked[1] ? 0 : -1,
                    'aria-pressed': String(i === picked[0] && j === picked[1]),
                    'aria-label': `${caption}, row ${rowName(i)}, column ${columnName(j)}: ${value}`,
                    onclick: () => options.pick(i, j) }, value)
                : value));
        }
        body.append(row);
    }
    const table = element('table', { class: 'matrix' }, element('caption', {}, caption),
        element('thead', {}, element('tr', {}, element('td', {}),
            ...Array.from({ length: matrix.columns }, (_, j) => element('th', { scope: 'col' }, columnName(j))))), body);
    if (options.pick) {
        table.addEventListener('keydown', event => walk(event, matrix));
    }
    return scrollable(table, caption);
}

/** Tables wider than the screen scroll by themselves, and by keyboard. */
function scrollable(table, label) {
    return element('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': label }, table);
}

/** Arrow keys, Home and End move the focus within a table of buttons. */
function walk(event, matrix) {
    const from = event.target.closest('button.cell');
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
        Home: [0, -Infinity], End: [0, Infinity] };
    if (!from || !steps[event.key]) {
        return;
    }
    event.preventDefault();
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
    const i = clamp(Number(from.dataset.i) + steps[event.key][0], matrix.rows);
    const j = clamp(Number(from.dataset.j) + steps[event.key][1], matrix.columns);
    const to = event.currentTarget.querySelector(`button.cell[data-i="${i}"][data-j="${j}"]`);
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
}

/** A table of texts; the first cell of each row is its header. */
function plainTable(caption, heads, rows) {
    const cell = (content, header) => element(header ? 'th' : 'td', header ? { scope: 'row' } : {}, content);
    return scrollable(element('table', { class: 'plain' }, element('caption', {}, caption),
        element('thead', {}, element('tr', {}, ...heads.map(head => element('th', { scope: 'col' }, head)))),
        element('tbody', {}, ...rows.map(row =>
            element('tr', { class: row.class ?? null }, ...row.cells.map((content, k) => cell(content, k === 0)))))), caption);
}

// ---------------------------------------------------------------- charts

/**
 * Lines over a common axis. series: [{ name, points: [[x, y], …], dashed }]; log axes leave out what
 * is not above zero. Each line has a mark of its own beside its colour, and the last values in words.
 */
function lineChart({ title, xName, yName, series, logX = false, logY = false, marker = null, width = innerWidth < 600 ? 340 : 560 }) {
    const [height, left, right, top, bottom] = [260, 62, 14, 12, 40];
    const drawn = series.map(line => ({ ...line, points: line.points.filter(([x, y]) =>
        Number.isFinite(x) && Number.isFinite(y) && (!logX || x > 0) && (!logY || y > 0)) }));
    const all = drawn.flatMap(line => line.points);
    const scale = (values, log) => {
        const mapped = values.map(value => log ? Math.log10(value) : value);
        let [low, high] = [Math.min(...mapped), Math.max(...mapped)];
        if (!(high > low)) {
            [low, high] = values.length ? [low, low + 1] : [0, 1];
        }
        if (log) {
            [low, high] = [Math.floor(low), Math.ceil(high)];
        }
        return { low, high, share: value => ((log ? Math.log10(value) : value) - low) / (high - low) };
    };
    const [sx, sy] = [scale(all.map(point => point[0]), logX), scale(all.map(point => point[1]), logY)];
    const px = x => (left + sx.share(x) * (width - left - right)).toFixed(1);
    const py = y => (height - bottom - sy.share(y) * (height - top - bottom)).toFixed(1);
    const chart = element('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img',
        'aria-label': `${title}. ${drawn.map(line => `${line.name}: ${line.points.length
            ? `from ${short(line.points[0][1], 3)} to ${short(line.points.at(-1)[1], 3)}` : 'nothing above zero'}`).join('; ')}` });
    for (const mark of marks(sy, logY, 4)) {
        chart.append(element('line', { class: 'grid', x1: left, x2: width - right, y1: py(mark), y2: py(mark) }),
            element('text', { x: left - 8, y: Number(py(mark)) + 4, 'text-anchor': 'end' }, logY ? power(mark) : short(mark, 3)));
    }
    for (const mark of marks(sx, logX, width < 400 ? 4 : 6)) {
        chart.append(element('text', { x: px(mark), y: height - bottom + 18, 'text-anchor': 'middle' },
            logX ? power(mark) : short(mark, 3)));
    }
    chart.append(element('text', { class: 'axis', x: (left + width - right) / 2, y: height - 6, 'text-anchor': 'middle' }, xName),
        element('text', { class: 'axis', x: 14, y: (top + height - bottom) / 2, 'text-anchor': 'middle',
            transform: `rotate(-90 14 ${(top + height - bottom) / 2})` }, yName));
    if (marker !== null) {
        chart.append(element('line', { class: 'marker', x1: px(marker), x2: px(marker), y1: top, y2: height - bottom }));
    }
    drawn.forEach((line, k) => chart.append(element('polyline', { class: `line line${k}`,
        points: line.points.map(([x, y]) => `${px(x)},${py(y)}`).join(' ') }),
        ...line.points.length <= 12 ? line.points.map(([x, y]) => element('circle', { class: `dot dot${k}`, cx: px(x), cy: py(y), r: 3.5 })) : []));
    const legend = element('ul', { class: 'legend' }, ...drawn.map((line, k) => element('li', { class: `key${k}` }, line.name)));
    return element('figure', { class: 'chart' }, element('figcaption', {}, title), chart, legend);
}

/** Round numbers within a scale, or powers of ten. */
function marks({ low, high }, log, most) {
    if (log) {
        const every = Math.max(1, Math.ceil((high - low) / most));
        return Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, k) => 10 ** (low + k * every));
    }
    const raw = (high - low) / most;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = unit * [1, 2, 5, 10].find(factor => factor * unit >= raw);
    const first = Math.ceil(low / step - 1e-9);
    const found = [];
    for (let k = first; k * step <= high * (1 + 1e-9) + 1e-12; k++) {
        found.push(k * step);
    }
    return found;
}

/** 10⁻³ */
const power = value => `10${String(Math.round(Math.log10(value))).replace(/./g, digit => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit] ?? '⁻')}`;

// ---------------------------------------------------------------- controls

/** A choice among few things, with its label. */
function selectField(label, name, values, chosen, change) {
    return element('label', { class: 'field' }, element('span', {}, label),
        element('select', { name, onchange: event => change(event.target.value) },
            ...values.map(([value, text]) => element('option', { value, selected: value === chosen }, text))));
}

const data = JSON.parse(byId('data').textContent);
document.documentElement.classList.add('script');
