// Puts the parts together. Without this script the page shows every number all the same.

/** The picture: a node opens its panel; the panels of the others make room. */
const nodeView = {
    show() {
        const nodes = [...document.querySelectorAll('a.node')];
        const known = new Set(nodes.map(node => node.dataset.node));
        const chosen = known.has(state.get('node', '')) ? state.get('node', '') : data.firstNode;
        for (const panel of document.querySelectorAll('section.panel')) {
            panel.hidden = panel.dataset.node !== chosen;
        }
        for (const node of nodes) {
            node.setAttribute('role', 'button');
            node.setAttribute('aria-pressed', String(node.dataset.node === chosen));
        }
    },

    listen() {
        const open = (event, node) => {
            event.preventDefault();
            state.set('node', node.dataset.node);
            this.show();
            const panel = [...document.querySelectorAll('section.panel')].find(found => !found.hidden);
            announce(`${panel.querySelector('h3').textContent} is shown below the picture`);
        };
        for (const node of document.querySelectorAll('a.node')) {
            node.addEventListener('click', event => open(event, node));
            node.addEventListener('keydown', event => {
                if (event.key === ' ') {
                    open(event, node);
                }
            });
        }
    },
};

/** On paper everything is open. */
function openForPrint() {
    for (const details of document.querySelectorAll('details')) {
        details.open = true;
    }
    for (const panel of document.querySelectorAll('section.panel')) {
        panel.hidden = false;
    }
}

nodeView.listen();
nodeView.show();
prove(breakView.chosen());
entryView.show();
waysView.show();
byId('ways-h').addEventListener('input', event => {
    state.set('h', event.target.value);
    waysView.move(Number(event.target.value));
});
if (exampleOf('example')) {
    breakView.show();
    playView.show();
    deriveView.show();
    byId('play-step').addEventListener('click', () => playView.steps(1));
    byId('play-run').addEventListener('click', () => playView.steps(100));
    byId('play-reset').addEventListener('click', () => { state.set('play-steps', null); playView.reset(); announce('back at step 0'); });
    byId('play-seed').addEventListener('click', () => playView.choose({ seed: playView.settings.seed % 1000 + 1 }));
}
addEventListener('beforeprint', openForPrint);
addEventListener('afterprint', () => nodeView.show());
// for the console, and for tests: the page's numbers beside the engine's
window.explained = { comparisons: () => proof };
