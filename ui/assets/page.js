// Mends what the chat component leaves unsaid to screen readers: an arrow button within a button, a list of buttons.
() => {
  const mend = () => {
    for (const arrow of document.querySelectorAll("#chat .thought-group .arrow .icon-button")) {
      arrow.setAttribute("tabindex", "-1");
      arrow.setAttribute("role", "presentation");
      arrow.setAttribute("aria-hidden", "true");
      arrow.disabled = true;
    }
    // Before the first question the examples are read from the first one on.
    const start = document.querySelector("#chat .bubble-wrap:has(.placeholder-content)");
    if (start) requestAnimationFrame(() => { start.scrollTop = 0; });
    for (const list of document.querySelectorAll("#chat .examples[role=list]")) list.setAttribute("role", "group");
  };
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  mend();
}
