//! Open structs: read from a JSON object field by field, and keep the names of the fields that nobody reads, so
//! that a request's loss can be told. A value that says nothing (null, false, zero, or empty) is no loss.
//!
//! serde's own `flatten` would copy the whole object, and cannot borrow.

use std::fmt;

use serde::de::value::UnitDeserializer;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether a value says anything; the value itself is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Says(pub bool);

impl<'de> Deserialize<'de> for Says {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SaysVisitor;
        impl<'de> Visitor<'de> for SaysVisitor {
            type Value = Says;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Says, E> {
                Ok(Says(false))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Says, E> {
                Ok(Says(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Says, E> {
                Ok(Says(value != 0))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Says, E> {
                Ok(Says(value != 0))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Says, E> {
                Ok(Says(value.abs() > 0.0))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Says, E> {
                Ok(Says(!text.is_empty()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Says, A::Error> {
                let mut found = false;
                while sequence.next_element::<IgnoredAny>()?.is_some() {
                    found = true;
                }
                Ok(Says(found))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Says, A::Error> {
                // A number of any precision comes as a map, too: its text, under a key of serde_json's.
                let mut says = false;
                while let Some(key) = map.next_key::<super::json::Str<'de>>()? {
                    if &*key == NUMBER {
                        let digits = map.next_value::<super::json::Str<'de>>()?;
                        says = digits
                            .bytes()
                            .take_while(|byte| !matches!(byte, b'e' | b'E'))
                            .any(|byte| matches!(byte, b'1'..=b'9'));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        says = true;
                    }
                }
                Ok(Says(says))
            }
        }
        deserializer.deserialize_any(SaysVisitor)
    }
}

/// An object's unread fields are named up to this many: there is no end to the names a client can make up.
pub(super) const MOST_UNREAD: usize = 100;

/// The key of a number in `serde_json` with any precision.
const NUMBER: &str = "$serde_json::private::Number";

/// A field that was found, or what its type makes of an absent one.
pub(super) fn given<'de, T: Deserialize<'de>, E: de::Error>(
    found: Option<T>,
    name: &'static str,
) -> Result<T, E> {
    found.map_or_else(|| T::deserialize(UnitDeserializer::<E>::new()).map_err(|_| E::missing_field(name)), Ok)
}

/// The name of a field on the wire.
macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident, $name:literal) => {
        $name
    };
}

/// Declares structs that are read from JSON objects. A field of a type that cannot be null must be there; `= "name"`
/// is its name on the wire where that is another one.
macro_rules! open_structs {
    ($($(#[$attribute:meta])* $visible:vis struct $name:ident<$a:lifetime> {
        $($(#[$note:meta])* pub $field:ident $(= $wire:literal)?: $kind:ty,)*
    })*) => {$(
        $(#[$attribute])*
        #[derive(Debug)]
        $visible struct $name<$a> {
            $($(#[$note])* pub $field: $kind,)*
            /// Names of the fields that nobody reads and that say something.
            pub unread: Vec<String>,
        }

        impl<'de: $a, $a> serde::Deserialize<'de> for $name<$a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<$a>(std::marker::PhantomData<&$a ()>);
                impl<'de: $a, $a> serde::de::Visitor<'de> for Fields<$a> {
                    type Value = $name<$a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name<$a>, A::Error> {
                        $(let mut $field: Option<$kind> = None;)*
                        let mut unread = Vec::new();
                        while let Some(key) = map.next_key::<$crate::wire::json::Str<'de>>()? {
                            match &*key {
                                $(name if name == $crate::wire::open::wire_name!($field $(, $wire)?) => {
                                    $field = Some(map.next_value()?);
                                })*
                                name => {
                                    if map.next_value::<$crate::wire::open::Says>()?.0 && unread.len() < $crate::wire::open::MOST_UNREAD {
                                        unread.push(name.to_owned());
                                    }
                                }
                            }
                        }
                        Ok($name {
                            $($field: $crate::wire::open::given($field, $crate::wire::open::wire_name!($field $(, $wire)?))?,)*
                            unread,
                        })
                    }
                }
                deserializer.deserialize_map(Fields(std::marker::PhantomData))
            }
        }
    )*};
}

pub(super) use {open_structs, wire_name};

#[cfg(test)]
mod tests {
    use crate::wire::json::Str;
    use serde_json::value::RawValue;

    open_structs! {
        struct Sample<'a> {
            pub kind = "type": Str<'a>,
            pub text: Option<Str<'a>>,
            pub raw: Option<&'a RawValue>,
        }
    }

    fn read(text: &str) -> Result<Sample<'_>, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_are_read_whatever_their_order_and_null_is_absent() {
        let sample = read(r#"{"text":null,"raw":{"x": 1.0},"type":"a"}"#).unwrap();
        assert_eq!((&*sample.kind, sample.text, sample.raw.unwrap().get()), ("a", None, r#"{"x": 1.0}"#));
        assert!(sample.unread.is_empty());
        assert!(read(r#"{"text":"a"}"#).unwrap_err().contains("missing field `type`"));
        assert!(read(r#"{"type":null}"#).unwrap_err().contains("expected a string"));
        assert!(read(r#"{"type":"a","text":7}"#).unwrap_err().contains("expected a string"));
        assert!(read("[]").unwrap_err().contains("expected an object"));
    }

    #[test]
    fn a_field_that_nobody_reads_is_named_if_it_says_something() {
        for nothing in ["null", "false", "0", "0.0", "-0", "0e5", r#""""#, "[]", "{}"] {
            assert!(
                read(&format!(r#"{{"type":"a","x":{nothing}}}"#)).unwrap().unread.is_empty(),
                "{nothing}"
            );
        }
        for something in
            ["true", "7", "0.5", "1e9", "12345678901234567890123", r#"" ""#, "[null]", r#"{"a":null}"#]
        {
            assert_eq!(
                read(&format!(r#"{{"x":{something},"type":"a"}}"#)).unwrap().unread,
                ["x"],
                "{something}"
            );
        }
    }
}
