//! nginx's configuration language, as far as `log_format` needs it.
//!
//! Takes the text of a file, gives its directives as words, unescaped as `ngx_conf_read_token`
//! (`src/core/ngx_conf_file.c`) does: in quotes and out of them `\"`, `\'`, `\\`, `\t`, `\r` and `\n`; any other
//! backslash stays. Blocks are flattened: a directive inside `http { … }` is as good as one outside.

/// A directive's words; the first is its name.
pub type Directive = Vec<String>;

/// All directives of a configuration file, in order. What follows a syntax error is left out.
#[must_use]
pub fn directives(text: &str) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut words = Directive::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return directives };
        match first {
            '#' => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            ';' | '{' | '}' => {
                rest = &rest[1..];
                if !words.is_empty() {
                    directives.push(std::mem::take(&mut words));
                }
            }
            '"' | '\'' => match word(&rest[1..], |c, _| c == first) {
                Some((text, after)) => {
                    words.push(text);
                    rest = &after[1..];
                }
                None => return directives,
            },
            _ => {
                // A brace after a dollar begins a variable's name, not a block.
                let ends =
                    |c: char, before: char| c.is_whitespace() || c == ';' || (c == '{' && before != '$');
                let Some((text, after)) = word(rest, ends) else { return directives };
                words.push(text);
                rest = after;
            }
        }
    }
}

/// A word up to where `ends` says, given a character and the one before, and what follows.
fn word(text: &str, ends: impl Fn(char, char) -> bool) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut before = '\0';
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if ends(c, before) {
            return Some((word, &text[at..]));
        }
        before = c;
        if c != '\\' {
            word.push(c);
            continue;
        }
        match characters.next()?.1 {
            quoted @ ('"' | '\'' | '\\') => word.push(quoted),
            't' => word.push('\t'),
            'r' => word.push('\r'),
            'n' => word.push('\n'),
            other => word.extend(['\\', other]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unescaped_and_blocks_are_flat() {
        let text = r#"
            http { # comment; with "signs"
                log_format  main  escape=json
                    '$remote_addr "$request" '   "a\"b\\\t\d"
                    ${status}x;
                include conf.d/*.conf;
            }
            events {}
        "#;
        let expected: Vec<Vec<&str>> = vec![
            vec!["http"],
            vec![
                "log_format",
                "main",
                "escape=json",
                "$remote_addr \"$request\" ",
                "a\"b\\\t\\d",
                "${status}x",
            ],
            vec!["include", "conf.d/*.conf"],
            vec!["events"],
        ];
        assert_eq!(directives(text), expected);
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        assert_eq!(directives("a b; log_format x 'y"), [vec!["a", "b"]]);
        assert_eq!(directives("a \\"), Vec::<Directive>::new());
    }
}
