//! What a JSON schema becomes for upstream.

use serde_json::json;

use super::*;
use crate::wire::json::raw_of;

fn tool(schema: &Value) -> Result<Value, String> {
    tool_input(Some(&raw_of(schema)), "p").map(Value::Object).map_err(|error| error.message)
}

fn answer(schema: &Value) -> Result<Value, String> {
    structured(&raw_of(schema), None, "p").map(Value::Object).map_err(|error| error.message)
}

#[test]
fn tool_inputs_become_objects() {
    let empty = json!({"type": "object", "properties": {}});
    assert_eq!(Value::Object(tool_input(None, "p").unwrap()), empty);
    let cases = [
        (json!({}), empty.clone()),
        (json!({"type": "object"}), empty.clone()),
        (json!({"type": ["object", "null"], "properties": null}), empty),
        (
            json!({"properties": {"b": {}, "a": {}}, "required": ["b"]}),
            json!({"properties": {"b": {}, "a": {}}, "required": ["b"], "type": "object"}),
        ),
        (
            json!({"anyOf": [
                {"type": "object", "properties": {"a": {"type": "string"}, "c": {}}, "required": ["a", "c"]},
                {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            ]}),
            json!({"properties": {"a": {"type": "string"}, "c": {}}, "required": ["a"], "type": "object"}),
        ),
        (
            json!({"type": "object", "properties": {"x": {}}, "required": ["x"], "allOf": [
                {"properties": {"a": {}}, "required": ["a"]}, {"required": ["x"]},
            ]}),
            json!({"type": "object", "properties": {"x": {}, "a": {}}, "required": ["x", "a"]}),
        ),
        (
            json!({"$ref": "#/definitions/T", "definitions": {"T": {"type": "object", "properties": {"a": {}}}}}),
            json!({"definitions": {"T": {"type": "object", "properties": {"a": {}}}}, "type": "object", "properties": {"a": {}}}),
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(tool(&given).unwrap(), expected, "{given}");
    }
    assert!(tool(&json!({"type": "string"})).unwrap_err().contains("must be \"object\""));
    assert!(tool(&json!([])).unwrap_err().contains("expected a JSON schema object"));
}

#[test]
fn property_order_is_kept() {
    let schema = tool(&json!({"type": "object", "properties": {"z": {}, "a": {}, "m": {}}})).unwrap();
    assert!(schema.to_string().contains(r#"{"z":{},"a":{},"m":{}}"#));
}

#[test]
fn structured_output_takes_the_subset_and_hears_of_the_rest() {
    let given = json!({
        "type": "object",
        "additionalProperties": true,
        "properties": {
            "age": {"type": "integer", "minimum": 1, "maximum": 9, "description": "Years."},
            "tags": {"type": "array", "minItems": 2, "items": {"type": "string", "maxLength": 3}},
            "one": {"type": "array", "minItems": 1, "items": {}},
            "kind": {"oneOf": [{"type": "object", "properties": {}}, {"$ref": "#/$defs/T"}]},
        },
        "$defs": {"T": {"type": ["object", "null"], "not": {}}},
    });
    let expected = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "age": {"type": "integer", "description": "Years. Must satisfy minimum: 1, maximum: 9."},
            "tags": {"type": "array", "description": "Must satisfy minItems: 2.",
                "items": {"type": "string", "description": "Must satisfy maxLength: 3."}},
            "one": {"type": "array", "minItems": 1, "items": {}},
            "kind": {"anyOf": [{"type": "object", "properties": {}, "additionalProperties": false}, {"$ref": "#/$defs/T"}]},
        },
        "$defs": {"T": {"type": ["object", "null"], "additionalProperties": false, "description": "Must satisfy not: {}."}},
    });
    assert_eq!(answer(&given).unwrap(), expected);
    assert_eq!(answer(&expected).unwrap(), expected, "a schema inside the subset stays as it is");
}

#[test]
fn keywords_are_told_from_properties_that_have_their_names() {
    let given = json!({"type": "object", "properties": {"not": {"type": "string"}, "minimum": {"enum": [{"if": 1}]}}});
    let got = answer(&given).unwrap();
    assert_eq!(got["properties"], given["properties"]);
}

#[test]
fn references_that_lead_nowhere_or_in_circles_are_refused() {
    let cycle = json!({"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}});
    assert!(answer(&cycle).unwrap_err().contains("recursive"));
    assert!(answer(&json!({"properties": {"self": {"$ref": "#"}}})).unwrap_err().contains("recursive"));
    assert!(answer(&json!({"$ref": "#/$defs/none"})).unwrap_err().contains("points at nothing"));
    assert!(answer(&json!({"$ref": "https://x.test/s"})).unwrap_err().contains("points at nothing"));
    let twice =
        json!({"properties": {"a": {"$ref": "#/$defs/T"}, "b": {"$ref": "#/$defs/T"}}, "$defs": {"T": {}}});
    assert!(answer(&twice).is_ok());
    let named = |reference: &str| answer(&json!({"properties": {"a~": {}, "b": {"$ref": reference}}}));
    assert!(named("#/properties/a~0").is_ok());
    assert!(named("#/properties/a~").unwrap_err().contains("points at nothing"), "a place has one name");
}

#[test]
fn a_schema_that_is_nested_too_deeply_is_told_so() {
    let deep = r#"{"properties":{"a":"#.repeat(100) + "{}" + &"}}".repeat(100);
    let raw = serde_json::from_str::<&RawValue>(&deep).unwrap();
    let error = tool_input(Some(raw), "p").unwrap_err();
    assert!(error.message.contains("recursion limit"), "{}", error.message);
}

#[test]
fn a_very_long_chain_of_references_is_an_error_and_not_a_crash() {
    let mut defs = Map::new();
    for n in 0..5_000 {
        defs.insert(format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)}));
    }
    defs.insert("d5000".to_owned(), json!({}));
    assert!(answer(&json!({"$ref": "#/$defs/d0", "$defs": defs})).is_err());
}

#[test]
fn strict_is_asked_only_inside_the_subset() {
    let inside =
        json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}});
    let cases = [
        (inside, true),
        (json!({"type": "object", "properties": {}}), false),
        (
            json!({"type": "object", "additionalProperties": false, "properties": {"a": {"minimum": 1}}}),
            false,
        ),
        (json!({"type": "object", "additionalProperties": false, "properties": {"a": {"oneOf": []}}}), false),
        (json!({"type": "object", "additionalProperties": false, "properties": {"a": {"$ref": "#"}}}), false),
    ];
    for (schema, expected) in cases {
        assert_eq!(is_strict(schema.as_object().unwrap()), expected, "{schema}");
    }
}
