//! The tools of a Responses request and the choice among them.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde_json::value::RawValue;

use crate::wire::json::{FieldError, Kind, Object, Str};
use crate::wire::open::open_structs;
use crate::wire::tagged::{Tagged, tagged};

#[derive(Debug)]
pub enum ToolEntry<'a> {
    Function(FunctionTool<'a>),
    Custom(CustomTool<'a>),
    Namespace(Namespace<'a>),
    WebSearch(WebSearch<'a>),
    Other { kind: Str<'a> },
}

open_structs! {
    pub struct FunctionTool<'a> {
        pub name: Str<'a>,
        pub description: Option<Str<'a>>,
        pub parameters: Option<&'a RawValue>,
        pub strict: Option<bool>,
        pub cache_control: Option<&'a RawValue>,
    }

    pub struct CustomTool<'a> {
        pub name: Str<'a>,
        pub description: Option<Str<'a>>,
        pub format: Option<CustomFormat<'a>>,
        pub cache_control: Option<&'a RawValue>,
    }
}

open_structs! {
    /// The form a custom tool's input must have: free text, or text by a grammar.
    pub struct CustomFormat<'a> {
        pub definition: Option<Str<'a>>,
        pub syntax: Option<Str<'a>>,
    }

    /// Tools under one name.
    pub struct Namespace<'a> {
        pub name: Str<'a>,
        pub description: Option<Str<'a>>,
        pub tools: Vec<ToolEntry<'a>>,
    }
}

/// The hosted web search, with the names of its fields that have no counterpart.
#[derive(Debug)]
pub struct WebSearch<'a> {
    pub allowed_domains: Vec<Str<'a>>,
    pub city: Option<Str<'a>>,
    pub region: Option<Str<'a>>,
    pub country: Option<Str<'a>>,
    pub timezone: Option<Str<'a>>,
    pub has_location: bool,
    pub ignored: Vec<String>,
}

open_structs! {
    #[derive(Default)]
    struct Filters<'a> {
        pub allowed_domains: Option<Vec<Str<'a>>>,
    }

    #[derive(Default)]
    struct Location<'a> {
        pub city: Option<Str<'a>>,
        pub region: Option<Str<'a>>,
        pub country: Option<Str<'a>>,
        pub timezone: Option<Str<'a>>,
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ToolEntry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tagged(deserializer)
    }
}

impl<'de: 'a, 'a> Tagged<'de> for ToolEntry<'a> {
    fn read<D: Deserializer<'de>>(kind: Option<Str<'de>>, fields: D) -> Result<Self, D::Error> {
        let kind = kind.ok_or_else(|| D::Error::missing_field("type"))?;
        match &*kind {
            "function" => FunctionTool::deserialize(fields).map(Self::Function),
            "custom" => CustomTool::deserialize(fields).map(Self::Custom),
            "namespace" => Namespace::deserialize(fields).map(Self::Namespace),
            kind if kind.starts_with("web_search") => {
                WebSearch::read(Object::deserialize(fields)?).map(Self::WebSearch).map_err(D::Error::custom)
            }
            _ => {
                IgnoredAny::deserialize(fields)?;
                Ok(Self::Other { kind })
            }
        }
    }
}

impl<'a> WebSearch<'a> {
    fn read(mut fields: Object<'a>) -> Result<Self, FieldError> {
        let filters: Filters<'a> = fields.read("filters")?.unwrap_or_default();
        let location: Option<Location<'a>> = fields.read("user_location")?;
        let has_location = location.is_some();
        let Location { city, region, country, timezone, unread } = location.unwrap_or_default();
        let allowed_domains = filters.allowed_domains.unwrap_or_default();
        let mut ignored: Vec<String> = fields.rest().map(str::to_owned).collect();
        ignored.extend(filters.unread.iter().map(|name| format!("filters.{name}")));
        ignored.extend(unread.iter().map(|name| format!("user_location.{name}")));
        Ok(Self { allowed_domains, city, region, country, timezone, has_location, ignored })
    }
}

/// `tool_choice`.
#[derive(Debug)]
pub enum ToolSelection<'a> {
    Mode(Str<'a>),
    Named(SelectedTool<'a>),
    Allowed { mode: Str<'a>, tools: Vec<SelectedTool<'a>> },
}

#[derive(Debug)]
pub enum SelectedTool<'a> {
    /// A function or custom tool of the client's.
    Client { namespace: Option<Str<'a>>, name: Str<'a> },
    /// The hosted web search.
    WebSearch,
}

#[derive(Deserialize)]
#[serde(expecting = "a string or an object that names a tool")]
struct SelectionFields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Str<'a>,
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    namespace: Option<Str<'a>>,
    #[serde(borrow, default)]
    mode: Option<Str<'a>>,
    #[serde(borrow, default)]
    tools: Option<Vec<SelectionFields<'a>>>,
}

impl<'a> SelectionFields<'a> {
    fn into_tool(self) -> Option<SelectedTool<'a>> {
        match (&*self.kind, self.name) {
            ("function" | "custom", Some(name)) => {
                Some(SelectedTool::Client { namespace: self.namespace, name })
            }
            (kind, _) if kind.starts_with("web_search") => Some(SelectedTool::WebSearch),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ToolSelection<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if Kind::of(raw) == Kind::String {
            return serde_json::from_str(raw.get()).map(Self::Mode).map_err(D::Error::custom);
        }
        let fields: SelectionFields<'de> = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let found = match (fields.mode, fields.tools) {
            (Some(mode), Some(tools)) => {
                let tools = tools.into_iter().map(SelectionFields::into_tool).collect::<Option<Vec<_>>>();
                tools.map(|tools| Self::Allowed { mode, tools })
            }
            (mode, tools) => {
                let fields = SelectionFields { mode, tools, ..fields };
                fields.into_tool().map(Self::Named)
            }
        };
        found.ok_or_else(|| D::Error::custom("names no function, custom tool or web search"))
    }
}
