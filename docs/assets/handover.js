// The backlog's filters and the note on pages that have grown old. Plain script, nothing is fetched.
(() => {
  "use strict";

  const showStale = () => {
    for (const note of document.querySelectorAll("[data-stale-after]")) {
      note.hidden = Date.now() < Date.parse(note.dataset.staleAfter);
    }
  };

  const fits = (item, wanted) =>
    Object.entries(wanted).every(([name, value]) => {
      if (!value) return true;
      if (name === "text") {
        const text = item.textContent.toLowerCase();
        return value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
      }
      if (name === "skill") return item.dataset.skill.includes(`[${value}]`);
      return item.dataset[name] === value;
    });

  const setUpFilters = () => {
    const form = document.getElementById("backlog-filters");
    if (!form) return;
    const items = [...document.querySelectorAll("#backlog-items .item")];
    const count = document.getElementById("backlog-count");
    const none = document.getElementById("backlog-none");

    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      let shown = 0;
      let points = 0;
      for (const item of items) {
        item.hidden = !fits(item, wanted);
        if (!item.hidden) {
          shown += 1;
          points += Number(item.dataset.points);
        }
      }
      count.textContent = `${shown} of ${items.length} stories, ${points} points`;
      none.hidden = shown > 0;
      const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
      history.replaceState(null, "", query ? `#${query}` : location.pathname + location.search);
    };

    // A filtered list can be shared: the filters stand in the address.
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
      if (form.elements[name]) form.elements[name].value = value;
    }
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  };

  const setUp = () => {
    showStale();
    setUpFilters();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", setUp);
  else setUp();
})();
