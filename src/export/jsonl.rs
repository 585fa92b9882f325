//! JSON lines: an object a row, `{"user": "196", "vector": […]}` for a vector.

use serde_json::{Map, Value};

use super::{Format, Shape};
use crate::report::Table;

/// One JSON object a line.
pub(super) struct JsonLines;

impl Format for JsonLines {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn rows(&self, table: &Table, _is_first: bool) -> Option<String> {
        let mut text = String::new();
        for row in table.objects() {
            text += &Value::Object(row).to_string();
            text.push('\n');
        }
        Some(text)
    }

    fn head(&self, _shape: &Shape) -> Vec<u8> {
        Vec::new()
    }

    fn vectors(&self, shape: &Shape, names: &[String], values: &[f32]) -> Vec<u8> {
        let mut text = String::new();
        for (at, name) in names.iter().enumerate() {
            let row = &values[at * shape.width..(at + 1) * shape.width];
            let mut object = Map::new();
            object.insert(shape.names.into(), name.as_str().into());
            // By way of text: of 32 bits the shortest digits, not those of the same number in 64.
            object.insert("vector".into(), row.iter().map(|value| short(*value)).collect());
            text += &Value::Object(object).to_string();
            text.push('\n');
        }
        text.into_bytes()
    }

    fn has_names_beside(&self) -> bool {
        false
    }

    fn python(&self, file: &str, shape: &Shape) -> String {
        format!(
            "import json, numpy as np\n\
             rows = [json.loads(line) for line in open({file:?}, encoding=\"utf-8\")]\n\
             ids = [row[{:?}] for row in rows]                 # as the data name them\n\
             vectors = np.array([row[\"vector\"] for row in rows], dtype=np.float32)",
            shape.names
        )
    }
}

fn short(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}
