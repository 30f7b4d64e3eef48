//! HTTP-01 (RFC 8555, section 8.3).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What is answered to the servers that ask for proofs: a token leads to its key authorization, for as long as an order needs it.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, String>>>);

impl Answers {
    /// The answer for a token, while there is one.
    pub fn get(&self, token: &str) -> Option<String> {
        self.0.lock().get(token).cloned()
    }

    /// Answers for a token until the guard is dropped.
    pub(crate) fn give(&self, token: &str, answer: &str) -> Answering {
        self.0.lock().insert(token.to_owned(), answer.to_owned());
        Answering { answers: self.clone(), token: token.to_owned() }
    }
}

/// An answer that is being given.
#[derive(Debug)]
pub(crate) struct Answering {
    answers: Answers,
    token: String,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.answers.0.lock().remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_as_long_as_it_is_needed() {
        let answers = Answers::default();
        let answering = answers.give("token", "token.thumb");
        assert_eq!(answers.get("token").as_deref(), Some("token.thumb"));
        assert_eq!(answers.get("other"), None);
        drop(answering);
        assert_eq!(answers.get("token"), None);
    }
}
