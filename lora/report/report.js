// All of the page can be read without this: on paper what is folded is open.
document.documentElement.classList.add('script');
addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details')) {
        details.open = true;
    }
});
