// Break it: one line of the formulas exchanged, and which of the comparisons notices.

const breakView = {
    show() {
        const chosen = this.chosen();
        fill('break-list', this.button(null, chosen), ...data.mutants.map(mutant => this.button(mutant, chosen)));
        this.report(chosen);
    },

    chosen: () => data.mutants.find(mutant => mutant.name === state.get('break', '')) ?? null,

    button(mutant, chosen) {
        return element('button', { type: 'button', class: 'action', 'data-mutant': mutant?.name ?? '', 'aria-pressed': String((mutant ?? null) === chosen),
            onclick: () => {
                state.set('break', mutant?.name ?? null);
                this.apply();
                document.querySelector(`#break-list [data-mutant="${mutant?.name ?? ''}"]`).focus();
            } }, mutant?.title ?? 'as it should be');
    },

    apply() {
        const chosen = this.chosen();
        const good = prove(chosen);
        this.show();
        announce(good ? 'All numbers agree.' : `Badge red: ${chosen?.title ?? ''}`);
    },

    report(mutant) {
        if (!mutant) {
            fill('break-report', element('p', {}, 'All formulas are as the engine has them. Choose a mistake; the badge at the top, this list and the table of comparisons follow.'));
            return;
        }
        const lines = Object.entries(mutant.formulas).map(([name, text]) => ({ cells: [element('code', {}, name),
            element('code', {}, formulaTexts.get(name)), element('code', {}, text)] }));
        const ways = [
            ['closed form against autograd', proof.filter(found => /^(gA|gB|dX)/.test(found.id)), 'failures'],
            ['closed form against finite differences', proof.filter(found => found.numeric), 'numericFailures'],
            ['forward pass and loss', proof.filter(found => /^(H|Y|L)-0/.test(found.id)), 'failures'],
            ['A and B after the steps', proof.filter(found => /^(A|B)-/.test(found.id)), 'failures'],
        ].filter(([, checks]) => checks.length);
        const rows = ways.map(([name, checks, key]) => {
            const off = checks.filter(found => found[key].length);
            const count = off.reduce((sum, found) => sum + found[key].length, 0);
            return { cells: [name, count ? element('span', { class: 'bad-text' }, `✗ notices: ${count} numbers`) : element('span', { class: 'muted' }, '– does not notice'),
                count ? element('span', {}, 'first ', placeLink(off[0], off[0][key][0])) : ''] };
        });
        fill('break-report', element('p', {}, mutant.explanation), plainTable('What was exchanged', ['formula', 'as it should be', 'now'], lines),
            plainTable('Who notices', ['comparison', 'result', 'where'], rows));
    },
};
