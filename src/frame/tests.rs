//! What holds of every framing: any cut of the input, and any hand-over of the buffer, gives the same records as all
//! of the input at once; positions leave no gap; memory is fixed.

use proptest::prelude::*;

use super::*;

const CAP: usize = 10;

/// Text, start, end, and whether it was cut.
type Owned = (Vec<u8>, u64, u64, bool);

fn own(line: Line<'_>) -> Owned {
    (line.text.to_vec(), line.start, line.end, line.cut)
}

/// The whole input at once, in a buffer that holds all of it.
fn at_once(framing: Framing, input: &[u8]) -> Vec<Owned> {
    let mut buffer = LineBuffer::framed(framing, CHUNK_BYTES);
    fill(&mut buffer, input, CHUNK_BYTES);
    let cut = |line: Line<'_>| {
        assert!(!line.cut && !line.partial);
        let text = &line.text[..line.text.len().min(CAP)];
        (text.to_vec(), line.start, line.end, line.text.len() > CAP)
    };
    buffer.lines().map(cut).collect()
}

/// Reads up to `len` bytes of the input from where the buffer is.
fn fill(buffer: &mut LineBuffer, input: &[u8], len: usize) -> usize {
    let read = |room: &mut [u8], at: u64| -> Result<usize, ()> {
        let rest = &input[usize::try_from(at).unwrap()..];
        let len = rest.len().min(len).min(room.len());
        room[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    };
    buffer.fill(read).unwrap()
}

/// The input in pieces; between them another stream has the buffer, whenever a record was read past.
fn in_pieces(framing: Framing, input: &[u8], cuts: &[usize], one_by_one: bool) -> (Vec<Owned>, LineBuffer) {
    let mut buffer = LineBuffer::framed(framing, CAP);
    let mut lines = Vec::new();
    let mut last = Skipped::default();
    for cut in cuts.iter().cycle() {
        let (position, skipped) = (buffer.position(), buffer.skipped());
        // A turn is long enough to get on.
        if !skipped.is_none() && skipped != last {
            last = skipped;
            buffer.reset(7, &[]);
            let head = |room: &mut [u8], at: u64| -> Result<usize, ()> {
                let at = usize::try_from(at).unwrap();
                room.copy_from_slice(&input[at..at + room.len()]);
                Ok(room.len())
            };
            buffer.restore(position, &[], skipped, head).unwrap();
        }
        if fill(&mut buffer, input, *cut) == 0 {
            break;
        }
        let (read_to, last) = (usize::try_from(buffer.read_position()).unwrap(), buffer.last_read());
        assert_eq!(last, &input[read_to - last.len()..read_to]);
        while buffer.has_line() {
            let known = buffer.before().map(<[u8]>::len);
            let count = if one_by_one { 1 } else { usize::MAX };
            lines.extend(buffer.lines().take(count).map(own));
            buffer.take(lines.last().unwrap().2);
            let position = usize::try_from(buffer.position()).unwrap();
            let wanted = position.min(BEFORE_BYTES);
            match buffer.before() {
                Some(before) => assert_eq!(before, &input[position - wanted..position]),
                None => assert!(known.is_none() || position >= CAP, "only a record over the cap hides it"),
            }
        }
        assert!(buffer.bytes.len() <= LineBuffer::bytes_max(CAP) - CHUNK_BYTES + cut);
    }
    (lines, buffer)
}

/// Pieces that mean something in one of the framings.
fn input() -> impl Strategy<Value = (Framing, Vec<u8>)> {
    const LINES: &[&[u8]] = &[b"x", b"x", b"x", b"\r", b"\n"];
    const OBJECTS: &[&[u8]] = &[b"{", b"{\n", b"{\r\n", b"}", b"\"", b"\\", b"\n", b"\r", b" ", b"xyz"];
    const JOURNAL: &[&[u8]] =
        &[b"A", b"a", b"=", b"\n", b"\n", b"B\n\x03\0\0\0\0\0\0\0", b"C\n\x1e\0\0\0\0\0\0\0", b"{", b"xyz"];
    const OCTETS: &[&[u8]] = &[b"3 <", b"40 <", b"4 ", b"0", b"1", b"9", b" ", b"<", b"\n", b"\r", b"xyz"];
    let pieces = |framing, pieces: &'static [&'static [u8]]| {
        prop::collection::vec(prop::sample::select(pieces), 0..200)
            .prop_map(move |pieces| (framing, pieces.concat()))
    };
    prop_oneof![
        pieces(Framing::Lines, LINES),
        pieces(Framing::Objects, OBJECTS),
        pieces(Framing::Journal, JOURNAL),
        pieces(Framing::Octets, OCTETS),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_cut_of_the_input_gives_the_same_records(
        (framing, input) in input(),
        cuts in prop::collection::vec(1_usize..40, 1..8),
        one_by_one in any::<bool>(),
    ) {
        let (lines, buffer) = in_pieces(framing, &input, &cuts, one_by_one);
        let expected = at_once(framing, &input);
        let mut end = 0;
        for line in &expected {
            prop_assert_eq!(line.1, end);
            prop_assert!(line.2 > end);
            end = line.2;
        }
        prop_assert_eq!(lines, expected);
        prop_assert_eq!(buffer.position(), end);
        prop_assert_eq!(buffer.read_position(), input.len() as u64);
        let rest = &input[usize::try_from(end).unwrap()..];
        match buffer.unfinished_line() {
            Some(line) => {
                let text = if framing == Framing::Octets { octets::without_count(rest) } else { rest };
                prop_assert_eq!(line.text, &text[..text.len().min(CAP)]);
                prop_assert!(line.partial && line.end == input.len() as u64);
            }
            None => prop_assert!(rest.is_empty()),
        }
    }

    /// The obviously right way for lines.
    #[test]
    fn lines_are_what_newlines_separate(input in prop::collection::vec(prop::sample::select(&b"xx\r\n"[..]), 0..200)) {
        let whole = input.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut start = 0;
        let mut expected = Vec::new();
        for line in input[..whole].split_inclusive(|byte| *byte == b'\n') {
            let text = &line[..line.len() - 1];
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let end = start + line.len() as u64;
            expected.push((text[..text.len().min(CAP)].to_vec(), start, end, text.len() > CAP));
            start = end;
        }
        prop_assert_eq!(at_once(Framing::Lines, &input), expected);
    }
}

#[test]
fn a_huge_record_is_read_past_in_fixed_memory() {
    let cases: [(Framing, &[u8], &[u8]); 5] = [
        (Framing::Lines, b"x", b"\nab\n"),
        (Framing::Objects, b"{\"", b"\"}\nab\n"),
        (Framing::Journal, b"A=", b"\n\nAB=\n\n"),
        (Framing::Journal, b"A\n\xfe\xff\x18\0\0\0\0\0", b"\n\nAB=\n\n"),
        (Framing::Octets, b"9999999 <", b"\nab\n"),
    ];
    for (framing, start, end) in cases {
        let mut buffer = LineBuffer::framed(framing, CAP);
        let fill = |buffer: &mut LineBuffer, piece: &[u8], filler: usize| {
            let read: Result<_, ()> = buffer.fill(|room, _| {
                room[..piece.len()].copy_from_slice(piece);
                room[piece.len()..].fill(b'x');
                Ok(piece.len() + filler)
            });
            read.unwrap();
        };
        // What the fourth and the last case count.
        let total: usize = match framing {
            Framing::Octets => start.len() - 1 + 9_999_999 - 1,
            _ => start.len() + 0x18_fffe,
        };
        fill(&mut buffer, start, 0);
        let mut left = total - start.len();
        while left > 0 {
            assert!(!buffer.has_line());
            let filler = left.min(CHUNK_BYTES);
            fill(&mut buffer, b"", filler);
            left -= filler;
        }
        assert!(!buffer.has_line());
        fill(&mut buffer, end, 0);
        assert!(buffer.bytes.capacity() <= 2 * LineBuffer::bytes_max(CAP));
        let lines: Vec<Owned> = buffer.lines().map(own).collect();
        let ends = if framing == Framing::Journal { 2 } else { end.len() - 3 };
        let huge = (total + ends) as u64;
        assert_eq!((lines.len(), lines[0].2, lines[0].3), (2, huge, true), "{framing:?}");
        assert!(lines[1].0.to_ascii_lowercase().starts_with(b"ab"), "{framing:?}");
    }
}

#[test]
fn lines_can_be_taken_one_by_one() {
    let (_, mut buffer) = in_pieces(Framing::Lines, b"rest", &[1], false);
    let read: Result<_, ()> = buffer.fill(|room, at| {
        assert_eq!(at, 4);
        room[..5].copy_from_slice(b"\nb\nc\n");
        Ok(5)
    });
    read.unwrap();
    let first = buffer.lines().next().map(own).unwrap();
    assert_eq!(first.0, b"rest");
    buffer.take(first.2);
    assert_eq!(buffer.lines().map(|line| line.text.to_vec()).collect::<Vec<_>>(), [b"b", b"c"]);
}

#[test]
fn a_head_that_is_gone_is_begun_again() {
    let input = [&[b'x'; 300][..], b"\n"].concat();
    let mut buffer = LineBuffer::new(CAP);
    fill(&mut buffer, &input, 100);
    assert!(!buffer.has_line());
    let skipped = buffer.skipped();
    assert!(!skipped.is_none());
    let gone: Result<(), ()> = buffer.restore(0, &[], skipped, |_, _| Ok(3));
    gone.unwrap();
    assert_eq!((buffer.read_position(), buffer.skipped()), (0, Skipped::default()));
}

/// What a framing makes of a whole input; the record that has no end is marked.
fn texts(framing: Framing, input: &[u8]) -> Vec<String> {
    let mut buffer = LineBuffer::framed(framing, CHUNK_BYTES);
    fill(&mut buffer, input, CHUNK_BYTES);
    let text = |line: Line<'_>| String::from_utf8_lossy(line.text).into_owned();
    let mut texts: Vec<String> = buffer.lines().map(text).collect();
    if let Some(end) = buffer.lines().last().map(|line| line.end) {
        buffer.take(end);
    }
    texts.extend(buffer.unfinished_line().map(|line| format!("… {}", text(line))));
    texts
}

#[test]
fn objects_of_every_layout_and_damaged_ones() {
    let object = "{\n    \"a\": \"}{\\\"\\\\\",\n    \"b\": {\n        \"c\": [{}]\n    }\n}";
    for (input, expected) in [
        (format!("{object}\n{object}\r\n"), vec![object, object]),
        (format!("{object}\ntext\n{object}\n"), vec![object, "text", object]),
        ("{\"a\":1}\n{}\n{\"b\":2}{\"c\":3}\n".into(), vec!["{\"a\":1}", "{}", "{\"b\":2}", "{\"c\":3}"]),
        ("{:error, :x}\n  {\n{\"a\":1} x\n".into(), vec!["{:error, :x}", "  {", "{\"a\":1}", " x"]),
        (format!("{{\n    \"a\": {{\n{object}\n"), vec!["{\n    \"a\": {", object]),
        (
            format!("{{\n    \"a\": \"x\n    \"b\": 1\n}}\n{object}\n"),
            vec!["{\n    \"a\": \"x", "    \"b\": 1", "}", object],
        ),
        ("{\n\n{\n}\n".into(), vec!["{\n", "{\n}"]),
        ("{\r\n{\r\n}\r\n".into(), vec!["{", "{\r\n}"]),
        ("{\"a\": \"\\\n{\n}\n".into(), vec!["{\"a\": \"\\", "{\n}"]),
        ("{\n \"a\":1".into(), vec!["… {\n \"a\":1"]),
        ("{}".into(), vec!["… {}"]),
        ("\n{}\n".into(), vec!["", "{}"]),
        ("{ foo: 1,\n2026 a\n2026 b\n".into(), vec!["{ foo: 1,", "2026 a", "2026 b"]),
        ("{\"a\":{\n{\"b\":1}\n{\"c\":2}\n".into(), vec!["{\"a\":{", "{\"b\":1}", "{\"c\":2}"]),
    ] {
        assert_eq!(texts(Framing::Objects, input.as_bytes()), expected, "{input}");
    }
}

#[test]
fn journal_entries_with_binary_fields() {
    for (input, expected) in [
        (&b"A=1\nB=2\n\nA=3\n\n"[..], vec!["A=1\nB=2", "A=3"]),
        (b"A\n\x03\0\0\0\0\0\0\0x\n\n\nB=2\n\nA=3\n\n", vec!["A\n\x03\0\0\0\0\0\0\0x\n\n\nB=2", "A=3"]),
        (b"A\n\0\0\0\0\0\0\0\0\n\nB=2\n\n", vec!["A\n\0\0\0\0\0\0\0\0", "B=2"]),
        (b"a line\nB=2\n\n", vec!["a line", "B=2"]),
        (b"A=1\na line\nB=2\n\n", vec!["A=1\na line\nB=2"]),
        (
            b"-- Journal begins --\n{\"A\":1}\nA=1\n{\"A\":2}\ncut\":3}\n{}\n",
            vec!["-- Journal begins --", "{\"A\":1}", "A=1", "{\"A\":2}", "cut\":3}", "{}"],
        ),
        (b"A\n\0\0\0\0\0\0\0\x7f\nB=2\n\n", vec!["A\n\0\0\0\0\0\0\0\x7f\nB=2"]),
        (b"{\"A\":1}\n{\"A\":2}\n", vec!["{\"A\":1}", "{\"A\":2}"]),
        (b"\n\nA=1\n\nA=2\n", vec!["", "", "A=1", "… A=2\n"]),
    ] {
        assert_eq!(texts(Framing::Journal, input), expected, "{}", input.escape_ascii());
    }
}

#[test]
fn counted_messages_and_lines() {
    for (input, expected) in [
        (&b"5 <1>ab7 <1>a\nb\n4 <abc"[..], vec!["<1>ab", "<1>a\nb", "<abc"]),
        (b"5 <a\r\n\n", vec!["<a\r\n"]),
        (b"2026 was a year\n<1>y\n5 <1>ab", vec!["2026 was a year", "<1>y", "<1>ab"]),
        (b"<1>ab\r\n5 <1>ab\n", vec!["<1>ab", "<1>ab", ""]),
        (b"2026-11-21 x\n0 x\n12345678 x\n 1 x\n", vec!["2026-11-21 x", "0 x", "12345678 x", " 1 x"]),
        (b"9 <1>ab", vec!["… <1>ab"]),
        (b"12", vec!["… 12"]),
    ] {
        assert_eq!(texts(Framing::Octets, input), expected, "{}", input.escape_ascii());
    }
}
