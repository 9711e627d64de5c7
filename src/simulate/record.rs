//! One native audit record: fields in the order in which they are written.

use super::{Moment, Random};
use serde::{Serialize, Serializer};
use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Record {
    pub at: Moment,
    fields: Vec<(String, Value)>,
}

impl Record {
    pub fn new(at: Moment) -> Self {
        Self {
            at,
            fields: Vec::with_capacity(48),
        }
    }

    /// Puts the field last, or in its old place if it is there.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        match self.fields.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.fields.push((key.to_owned(), value)),
        }
        self
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let field = self.fields.iter().find(|(known, _)| known == key);
        field.map(|(_, value)| value)
    }

    #[must_use]
    pub fn without(mut self, keys: &[&str]) -> Self {
        self.fields.retain(|(key, _)| !keys.contains(&key.as_str()));
        self
    }

    /// The same value, under another spelling of its name.
    pub fn rename(&mut self, key: &str, new: &str) -> &mut Self {
        if let Some((known, _)) = self.fields.iter_mut().find(|(known, _)| known == key) {
            new.clone_into(known);
        }
        self
    }

    /// The order of keys varies between fetches of one record.
    pub fn shuffle(&mut self, random: &mut Random) {
        random.shuffle(&mut self.fields);
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("JSON values can be written")
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order() {
        let mut record = Record::new(Moment::from_seconds(0))
            .with("Id", "x")
            .with("Operation", "Send")
            .with("LogonType", 2)
            .with("Id", "y")
            .without(&["Operation"]);
        record.rename("LogonType", "logontype");
        assert_eq!(record.json(), r#"{"Id":"y","logontype":2}"#);
        assert_eq!(record.get("Id"), Some(&Value::from("y")));
    }
}
