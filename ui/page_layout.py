"""The page's components, and their labels in each language."""

from collections.abc import Callable
from typing import Any

import yaml

from knowledge.lexicon import Language
from ui.map_view import map_value
from ui.page_words import ASSETS, NAMES, say
from ui.panels import empty_html

AREA_TYPES = [".geojson", ".json", ".gpkg", ".zip", ".kml", ".csv"]
_MAP_HEAD = '<link rel="stylesheet" href="page/leaflet.css"><script src="page/leaflet.js"></script>'

Label = Callable[[Language], Any]


class Layout:
    """Builds the components; call it inside `gr.Blocks`."""

    def __init__(self, mind: Label, build_cards: Callable[["Layout"], None]) -> None:
        """Build the page; `build_cards` adds what stands between the question and the list of conversations."""
        import gradio as gr

        self._labels: list[tuple[Any, dict[str, Label]]] = []
        with gr.Row(elem_id="top", equal_height=True):
            with gr.Column(scale=5, min_width=260):
                self.banner = self.named(gr.HTML(elem_id="banner"), value=lambda language: _banner(mind, language))
            with gr.Column(scale=1, min_width=150):
                choices = [(name, code) for code, name in NAMES.items()]
                self.language = self.named(
                    gr.Dropdown(choices, value="en", label="", elem_id="language", filterable=False), label="language"
                )
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=300, elem_id="conversation"):
                self._chat(build_cards)
            with gr.Column(scale=6, min_width=300, elem_id="results"):
                self.map = gr.HTML(
                    map_value("en", ""),
                    elem_id="map",
                    html_template=(ASSETS / "map.html").read_text(encoding="utf-8"),
                    js_on_load=(ASSETS / "map.js").read_text(encoding="utf-8"),
                    head=_MAP_HEAD,
                )
                self.result = gr.HTML(empty_html("en"), elem_id="result")

    def named(self, component: Any, **labels: "str | Label") -> Any:
        """Keep a component's labels: a key of `words.yaml`, or a function of the language, for each property."""
        kept = {name: _told(label) if isinstance(label, str) else label for name, label in labels.items()}
        self._labels.append((component, kept))
        for name, label in kept.items():
            setattr(component, name, label("en"))
        return component

    def labelled(self) -> list[Any]:
        """Give all components that have labels, in the order of `in_language`."""
        return [component for component, _ in self._labels]

    def in_language(self, language: Language) -> list[Any]:
        """Give the updates that put all labels into a language."""
        import gradio as gr

        return [gr.update(**{name: label(language) for name, label in kept.items()}) for _, kept in self._labels]

    def _chat(self, build_cards: Callable[["Layout"], None]) -> None:
        import gradio as gr

        self.chat = self.named(
            gr.Chatbot(
                show_label=False,
                elem_id="chat",
                height="62vh",
                min_height=380,
                latex_delimiters=[],
                allow_tags=False,
                buttons=["copy"],
                feedback_options=None,
            ),
            label="conversation",
            placeholder="start",
            examples=lambda language: [{"text": text} for text in load_examples(language)],
        )
        # Closed until the page has arrived: before, Gradio may lose what a question makes appear, such as "Stop".
        self.box = self.named(
            gr.Textbox(lines=1, max_lines=6, interactive=False), label="question", placeholder="question_hint"
        )
        with gr.Row(elem_id="actions"):
            self.send = self.button("ask", variant="primary", min_width=80)
            self.stop = self.button("stop", variant="stop", min_width=80, visible="hidden")
            self.again = self.button("again", min_width=110, visible="hidden")
            self.attach = self.named(gr.UploadButton(file_types=AREA_TYPES, min_width=110), label="attach")
            self.drop = self.button("remove", min_width=110, visible="hidden")
            self.reset = self.button("new", min_width=140)
        self.area_note = gr.HTML("", elem_id="area-note")
        build_cards(self)
        self.hide_steps = self.named(gr.Checkbox(elem_id="hide-steps", container=False), label="hide_steps")
        with gr.Accordion(open=False, elem_id="kept") as accordion:
            self.named(accordion, label="kept")
            self.kept = gr.HTML("", elem_id="kept-list", js_on_load=_KEPT_CLICKS)
        self.tab = gr.Textbox(visible="hidden")

    def button(self, key: str, **options: Any) -> Any:
        """Make a button with a label of `words.yaml`."""
        import gradio as gr

        return self.named(gr.Button(**options), value=key)


_KEPT_CLICKS = """element.addEventListener('click', event => {
  const button = event.target.closest('button[data-session]');
  if (button) trigger('select', {session: button.dataset.session, todo: button.dataset.todo});
});"""


TAB_KEEPS = "(session) => { sessionStorage.setItem('clms-conversation', session || ''); }"
TAB_KEPT = "(_, ...given) => [sessionStorage.getItem('clms-conversation') || '', ...given]"
"""The browser's tab keeps which conversation it shows, for when the page is loaded again."""


def button_shown(there: bool) -> Any:
    """Show or hide a button that stays in the page: one taken out of it may miss its return."""
    import gradio as gr

    return gr.Button(visible=there or "hidden")


def load_examples(language: Language = "en") -> list[str]:
    """Read the example questions in a language."""
    texts: dict[Language, list[str]] = yaml.safe_load((ASSETS / "examples.yaml").read_text(encoding="utf-8"))
    return texts[language]


def _told(key: str) -> Label:
    return lambda language: say(language, key)


def _banner(mind: Label, language: Language) -> str:
    logo = (ASSETS / "logo.svg").read_text(encoding="utf-8")
    return (
        f"<header>{logo}<div><h1>CLMS Assistant</h1><p>{say(language, 'tagline')}</p></div></header>"
        f'<p class="mind">{mind(language)}</p>'
    )
