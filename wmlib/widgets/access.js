// For all that stands in the same box: names that a screen reader can say, and keys that JupyterLab keeps off.

function render({ model, el }) {
  let box = null, observer = null, closed = false;

  function mend() {
    for (const slider of box.querySelectorAll(".widget-slider")) {
      const label = slider.querySelector(".widget-label")?.textContent ?? "";
      for (const handle of slider.querySelectorAll(".noUi-handle")) handle.setAttribute("aria-label", label);
    }
    box.querySelectorAll("img").forEach((picture, i) => { picture.alt = model.get("pictures")[i] ?? ""; });
    for (const control of box.querySelectorAll("button, select, input, [tabindex]")) {
      control.dataset.lmSuppressShortcuts = "true"; // JupyterLab looks for it where the focus is
    }
  }

  function begin() { // once it is on the page, in its box
    if (closed) return;
    box = el.closest(".widget-vbox");
    if (!box) {
      setTimeout(begin, 100);
      return;
    }
    observer = new MutationObserver(mend); // parts of the box may come later
    observer.observe(box, { childList: true, subtree: true });
    model.on("change:pictures", mend);
    mend();
  }

  begin();
  return () => {
    closed = true;
    observer?.disconnect();
    model.off("change:pictures", mend);
  };
}

export default { render };
