//! The end of the message for a word that is not in a table: the word that was probably meant, or all words of the table.

/// The longest word that is compared, in bytes. The time of a comparison grows with the square of it.
const LONGEST: usize = 40;

/// Returns the end of a message about an unknown word: `; did you mean …?` if a known word is near, and otherwise the list
/// `; the commands are …`. `plural` names the words, and `prefix` stands before each of them.
pub(crate) fn hint(word: &str, known: &[&str], plural: &str, prefix: &str) -> String {
    match nearest(word, known) {
        Some(meant) => format!("; did you mean `{prefix}{meant}`?"),
        None => format!("; the {plural} are {prefix}{}", known.join(&format!(", {prefix}"))),
    }
}

/// Returns the known word that was probably meant, if one is near.
pub(crate) fn near(word: &str, known: &[String]) -> Option<String> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    nearest(word, &known).map(str::to_owned)
}

/// Returns the known word with the fewest differences; `None` if every word differs in more than a third of its letters.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let distances = known.iter().filter_map(|candidate| Some((distance(word, candidate)?, *candidate)));
    let near = distances.filter(|(distance, candidate)| distance * 3 <= candidate.len());
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Returns the number of letters that are added, missing or replaced, without regard to case; `None` for a long word.
fn distance(word: &str, other: &str) -> Option<usize> {
    if word.len() > LONGEST || other.len() > LONGEST {
        return None;
    }
    // The distances between the letters of `word` so far and each beginning of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in word.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, expected) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(!letter.eq_ignore_ascii_case(&expected));
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_others_are_listed() {
        let known = ["status", "state-dir", "maxLength", "set"];
        for (word, meant) in [
            ("statsu", "status"),
            ("stateDir", "state-dir"),
            ("state_dir", "state-dir"),
            ("maxlength", "maxLength"),
            ("maxLenght", "maxLength"),
            ("sett", "set"),
        ] {
            assert_eq!(hint(word, &known, "words", "--"), format!("; did you mean `--{meant}`?"), "{word}");
        }
        let long = "x".repeat(1 << 20);
        for word in ["dance", "", "größer", &long] {
            assert_eq!(hint(word, &known[..2], "words", "--"), "; the words are --status, --state-dir");
        }
    }
}
