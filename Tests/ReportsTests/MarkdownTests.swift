// Text shows as it is, and numbers as people write them.

import Testing

@testable import Reports

@Suite("Markdown and numbers")
struct MarkdownTests {
    @Test("markup in a cell is text, its lines and indents are kept")
    func cell() {
        #expect(Markdown.cell("a|b\n  *c*\r\n\td") == "a\\|b<br>&nbsp;&nbsp;\\*c\\*<br>&nbsp;&nbsp;&nbsp;&nbsp;d")
        #expect(Markdown.cell("<script> & $1$ \\") == "&lt;script&gt; &amp; &#36;1&#36; \\\\")
        #expect(Markdown.cell("\u{1b}[2J") == "\u{fffd}\\[2J")
    }

    @Test("code that contains fences is fenced longer")
    func code() {
        #expect(Markdown.code("a`b") == "``a`b``")
        #expect(Markdown.code("`") == "`` ` ``")
        #expect(Markdown.code("a|b\nc") == "`a\\|b c`")
        #expect(Markdown.block("```\nx\n```", "text") == "````text\n```\nx\n```\n````")
    }

    @Test("words are quoted for the shell and for Python where they must be")
    func quoting() {
        #expect("runs/a-1.0".shellWord == "runs/a-1.0")
        #expect("What's `this`?".shellWord == "'What'\\''s `this`?'")
        #expect("".shellWord == "''")
        #expect("~/a".shellWord == "'~/a'")
        #expect(Markdown.python("a\"b\\c\nd") == "\"a\\\"b\\\\c\\nd\"")
    }

    @Test("numbers have the digits they need")
    func numbers() {
        #expect(
            [0.032, 1.5, 123.45, 0.00004567, 0].map(Numbers.loss) == ["0.0320", "1.500", "123.5", "4.57e-5", "0.0000"])
        #expect([2e-4, 1.84e-4, 0.1, 0].map(Numbers.scientific) == ["2e-4", "1.84e-4", "1e-1", "0"])
        #expect([0, 999, 1000, -1_234_567].map(Numbers.count) == ["0", "999", "1,000", "-1,234,567"])
        #expect(
            [0, 1023, 1024, 98_000_000, Int.max].map(Numbers.bytes) == [
                "0 B", "1023 B", "1 KiB", "93 MiB", "8388608 TiB",
            ])
        #expect([431, 1023.4, 1434].map { Numbers.memory(mib: $0) } == ["431 MiB", "1023 MiB", "1.4 GiB"])
        #expect(
            [3.2, 59.6, 151, 3600, 90_061].map { Numbers.duration($0, .en) } == [
                "3.2 s", "1 min 0 s", "2 min 31 s", "1 h 0 min", "25 h 1 min",
            ])
        #expect([0, 45, 151, 3845].map(Numbers.clock) == ["0:00", "0:45", "2:31", "1:04:05"])
        #expect([0.00685, 0.448, 1].map(Numbers.percent) == ["0.69 %", "44.8 %", "100 %"])
        #expect([Double.nan, .infinity, 1e300].map(Numbers.clock).count == 3)
    }
}
