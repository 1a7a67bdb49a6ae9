// What is wider than its place is scrolled: it can be reached and scrolled with the keyboard too.
(() => {
  "use strict";
  function mark() {
    for (const one of document.querySelectorAll(".table-wrapper, .highlight pre")) {
      if (one.scrollWidth > one.clientWidth) {
        one.tabIndex = 0;
        one.setAttribute("role", "region");
        one.setAttribute("aria-label", one.matches("pre") ? "Code" : "Table");
      } else if (one.hasAttribute("tabindex")) {
        for (const name of ["tabindex", "role", "aria-label"]) one.removeAttribute(name);
      }
    }
  }
  addEventListener("load", mark);
  addEventListener("resize", mark);
})();
