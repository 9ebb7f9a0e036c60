//! Text that people wrote, made harmless: for paper, for lines of a protocol, for HTML.

/// One line without control characters, without what changes the direction of the text around it, and without what has no looks:
/// a name cannot end a line, hide, or turn around what stands beside it.
pub fn plain(text: &str) -> String {
    let visible: String = text.chars().map(|c| if is_break(c) { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many characters of it, the last one an ellipsis if there were more.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// For HTML, in text and in quoted attributes.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}

fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{FDD0}'..='\u{FDEF}' | '\u{E0000}'..='\u{E007F}')
        || u32::from(c) & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_50_control_characters_and_turns_of_direction_are_taken_out() {
        for (wrote, read) in [
            ("Ana Marić", "Ana Marić"),
            ("  김민수  ", "김민수"),
            ("a\r\nBcc: b@example.org", "a Bcc: b@example.org"),
            ("a\u{0}b\u{1b}[2J", "a b [2J"),
            ("evil\u{202E}gpj.exe", "evilgpj.exe"),
            ("\u{2066}x\u{2069}\u{FEFF}\u{200B}y", "xy"),
            ("a\u{2028}b\u{85}c", "a b c"),
            ("क्\u{200D}ष", "क्\u{200D}ष"),
            ("\u{FFFE}\u{1FFFF}\u{E0041}", ""),
        ] {
            assert_eq!(plain(wrote), read, "{wrote:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shortened("žuta", 4), "žuta");
        assert_eq!(shortened("žuta minuta", 6), "žuta…");
    }

    #[test]
    fn s_50_markup_becomes_text() {
        assert_eq!(escaped(r#"<a href='x' b="y">&"#), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
    }
}
