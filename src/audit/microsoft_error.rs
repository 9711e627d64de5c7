//! What Microsoft's API answers instead of records when something is wrong.

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrosoftError {
    /// E.g. `AF20022`; empty if the answer has none. At most 100 characters.
    pub code: String,
    /// At most 500 characters.
    pub message: String,
}

/// Whether the content is such an answer, and no record:
/// `{"error":{"code":"AF20022","message":"…"}}`, `{"code":…,"message":…}` or
/// `{"Message":"…"}`.
pub fn microsoft_error(content: &[u8]) -> Option<MicrosoftError> {
    let content = &content[super::form::start(content)..];
    if content.first() != Some(&b'{') {
        return None;
    }
    let answer: Answer = serde_json::from_slice(content).ok()?;
    if answer.operation.is_some() || answer.id.is_some() {
        return None;
    }
    let (code, message) = match answer.error {
        Some(ErrorField::Detail(detail)) => (detail.code, detail.message),
        // as the sign-in answers
        Some(ErrorField::Code(code)) => (Some(code), answer.description.or(answer.message)),
        None => (answer.code, answer.message),
    };
    if code.is_none() && message.is_none() {
        return None;
    }
    Some(MicrosoftError {
        code: printable(code, 100),
        message: printable(message, 500),
    })
}

#[derive(Deserialize)]
struct Answer {
    error: Option<ErrorField>,
    #[serde(alias = "Code")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "error_description")]
    description: Option<String>,
    #[serde(alias = "Operation")]
    operation: Option<serde::de::IgnoredAny>,
    #[serde(alias = "Id")]
    id: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorField {
    Detail(Detail),
    Code(String),
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
    message: Option<String>,
}

fn printable(text: Option<String>, max: usize) -> String {
    text.unwrap_or_default()
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(max)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_errors() {
        for (content, code, message) in [
            (
                r#"{"error":{"code":"AF20022","message":"No subscription found."}}"#,
                "AF20022",
                "No subscription found.",
            ),
            (
                r#"{"Message":"Authorization has been denied for this request."}"#,
                "",
                "Authorization has been denied for this request.",
            ),
            (
                "\u{feff} {\"code\":\"AF429\",\"message\":\"Too many\\nrequests\"} ",
                "AF429",
                "Too manyrequests",
            ),
            (
                r#"{"error":"invalid_client","error_description":"AADSTS7000215: x"}"#,
                "invalid_client",
                "AADSTS7000215: x",
            ),
        ] {
            let error = microsoft_error(content.as_bytes()).expect(content);
            assert_eq!(
                (error.code.as_str(), error.message.as_str()),
                (code, message)
            );
        }
    }

    #[test]
    fn everything_else_is_none() {
        for content in [
            "",
            "[]",
            "{}",
            r#"[{"error":{"code":"AF20022","message":"x"}}]"#,
            r#"{"Operation":"Send","Id":"x","Message":"a"}"#,
            r#"{"message":"cut"#,
            r#"{"error":{"a":1}}"#,
        ] {
            assert_eq!(microsoft_error(content.as_bytes()), None, "{content}");
        }
        let deep = format!("{{\"error\":{}", "[".repeat(100_000));
        assert_eq!(microsoft_error(deep.as_bytes()), None);
    }
}
