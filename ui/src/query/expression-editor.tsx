import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import {
  defaultKeymap,
  history,
  historyKeymap,
  insertNewlineAndIndent,
} from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useComputedColorScheme } from "@mantine/core";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";

export interface ExpressionEditorProps {
  value: string;
  onChange: (value: string) => void;
  /** Enter without Shift. */
  onRun: () => void;
}

/** The PromQL editor: completion of metrics, labels, values and functions from the server; errors underlined as one types. */
export function ExpressionEditor({ value, onChange, onRun }: ExpressionEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const theme = useRef(new Compartment());
  const scheme = useComputedColorScheme("light");
  // The editor lives longer than one render: it must always call the newest handlers.
  const handlers = useRef({ onChange, onRun });
  handlers.current = { onChange, onRun };

  useEffect(() => {
    const promql = new PromQLExtension().setComplete({
      remote: { url: "", httpMethod: "GET", cache: { maxAge: 60_000 } },
    });
    const editor = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          promql.asExtension(),
          EditorView.lineWrapping,
          placeholder(
            "Expression, like sum by (job) (rate(http_requests_total[5m])) · Enter runs, Shift-Enter breaks the line",
          ),
          EditorView.contentAttributes.of({
            "aria-label": "PromQL expression",
            spellcheck: "false",
            autocapitalize: "off",
          }),
          keymap.of([
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...historyKeymap,
            ...completionKeymap,
            ...lintKeymap,
          ]),
          // Below the completion's own Enter, above the default one.
          Prec.high(
            keymap.of([
              {
                key: "Enter",
                run: () => {
                  handlers.current.onRun();
                  return true;
                },
                shift: insertNewlineAndIndent,
              },
            ]),
          ),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) handlers.current.onChange(update.state.doc.toString());
          }),
          theme.current.of(themeOf("light")),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
    // The document is kept in step by the effect below; the editor itself is made once.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: theme.current.reconfigure(themeOf(scheme)) });
  }, [scheme]);

  useEffect(() => {
    const editor = view.current;
    if (editor === null || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  return <div className="editor" ref={host} style={{ flex: 1, minWidth: 0 }} />;
}

function themeOf(scheme: "light" | "dark") {
  const dark = scheme === "dark";
  const highlight = HighlightStyle.define([
    { tag: tags.number, color: dark ? "#63e6be" : "#087f5b" },
    { tag: tags.string, color: dark ? "#ffa8a8" : "#a61e4d" },
    {
      tag: [tags.keyword, tags.operatorKeyword, tags.modifier],
      color: dark ? "#74c0fc" : "#1864ab",
      fontWeight: "600",
    },
    { tag: tags.function(tags.variableName), color: dark ? "#b197fc" : "#5f3dc4" },
    { tag: tags.labelName, color: dark ? "#ffd43b" : "#9c4a00" },
    { tag: [tags.operator, tags.punctuation], color: dark ? "#ced4da" : "#495057" },
    { tag: tags.comment, color: dark ? "#909296" : "#6c757d", fontStyle: "italic" },
    { tag: tags.invalid, color: dark ? "#ff8787" : "#c92a2a" },
  ]);
  return [
    syntaxHighlighting(highlight),
    EditorView.theme(
      {
        "&": { fontSize: "14px", color: dark ? "#e9ecef" : "#212529" },
        ".cm-content": {
          fontFamily: "var(--mantine-font-family-monospace)",
          caretColor: dark ? "#fff" : "#000",
        },
        ".cm-tooltip": {
          backgroundColor: "var(--mantine-color-body)",
          border: "1px solid var(--mantine-color-default-border)",
          color: "inherit",
        },
        ".cm-tooltip-autocomplete ul li[aria-selected]": {
          backgroundColor: "var(--mantine-primary-color-filled)",
          color: dark ? "#000" : "#fff",
        },
        ".cm-placeholder": { color: dark ? "#868e96" : "#6c757d" },
        "&.cm-focused .cm-matchingBracket": { backgroundColor: dark ? "#2b4f5c" : "#c5f6fa" },
      },
      { dark },
    ),
  ];
}
