// A demo is as high as what is in it.
for (const frame of document.querySelectorAll(".demo iframe")) {
  frame.addEventListener("load", () => {
    const body = frame.contentDocument.body;
    new ResizeObserver(() => { frame.style.height = `${body.scrollHeight}px`; }).observe(body);
  });
}
