//! The client's tools as upstream's, the choice among them, and the names by which answers find their way
//! back.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::call::upstream_name;
use super::models::Capabilities;
use super::schema;
use super::strictness::Budget;
use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::{Tool, ToolChoice, UserLocation};

/// The name upstream gives its own search tool.
pub(super) const WEB_SEARCH: &str = "web_search";

/// How a client knows a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientTool {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    /// Its input is free text instead of a JSON object.
    pub(super) custom: bool,
}

/// Tool names upstream and at the client. Names that differ in nothing need no entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_upstream: HashMap<String, ClientTool>,
    /// Upstream's own tool has its name, so a client's tool cannot.
    web_search_taken: bool,
}

impl Names {
    /// The name a client's tool has upstream, whether it is in the list or only in the history.
    pub(super) fn upstream(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) => upstream_name(&format!("{namespace}__{name}")),
            // A space makes the name one that is rewritten.
            None if self.web_search_taken && name == WEB_SEARCH => upstream_name("web search"),
            None => upstream_name(name),
        }
    }

    /// The client's tool behind an upstream name, if it is not simply a function of that name.
    pub(super) fn client(&self, upstream: &str) -> Option<&ClientTool> {
        self.by_upstream.get(upstream)
    }
}

/// A function or custom tool as a client defines it.
#[derive(Debug)]
pub(super) struct Definition<'a> {
    pub(super) namespace: Option<Str<'a>>,
    pub(super) name: Str<'a>,
    pub(super) description: Option<Str<'a>>,
    pub(super) parameters: Option<&'a RawValue>,
    pub(super) strict: bool,
    pub(super) cache_control: Option<&'a RawValue>,
}

/// What the client says about using tools. Names are upstream's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Auto,
    None,
    Required,
    Named(String),
    Allowed { required: bool, names: Vec<String> },
}

impl Choice {
    pub(super) fn mode(text: &str, param: &str) -> Result<Self, ApiError> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            "required" | "any" => Ok(Self::Required),
            other => Err(ApiError::invalid_param(
                param,
                format!("{param}: unknown mode {other:?}: use auto, none, required or the name of a tool"),
            )),
        }
    }

    /// Whether the answer shall be a call, whatever else it is.
    pub(super) const fn wants_a_call(&self) -> bool {
        matches!(self, Self::Required | Self::Named(_) | Self::Allowed { required: true, .. })
    }

    /// The mode of a list of allowed tools.
    pub(super) fn is_required(mode: &str, param: &str) -> Result<bool, ApiError> {
        match mode {
            "auto" => Ok(false),
            "required" => Ok(true),
            other => {
                let text = format!("{param}: unknown mode {other:?}: use auto or required");
                Err(ApiError::invalid_param(param, text))
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Tools<'a> {
    pub(super) list: Vec<Tool<'a>>,
    pub(super) names: Names,
    /// The names in the list.
    taken: HashSet<String>,
    strict_known: bool,
    /// Where each strict tool of the list asks to be one, by its name.
    strict: HashMap<String, String>,
    /// Where a strictness was asked for that upstream cannot give.
    loose: Vec<String>,
}

impl<'a> Tools<'a> {
    pub(super) fn new(model: &Capabilities) -> Self {
        Self {
            list: Vec::new(),
            names: Names::default(),
            taken: HashSet::new(),
            strict_known: model.structured_output,
            strict: HashMap::new(),
            loose: Vec::new(),
        }
    }

    /// `at` is where the definition stands in the request, for errors.
    pub(super) fn function(&mut self, mut tool: Definition<'a>, at: &str) -> Result<(), ApiError> {
        let input_schema = schema::tool_input(tool.parameters, &format!("{at}.parameters"))?;
        if tool.strict && !(self.strict_known && schema::is_strict(&input_schema)) {
            tool.strict = false;
            self.loose.push(format!("{at}.strict"));
        }
        self.add(tool, input_schema, false, at)
    }

    /// A free-form tool. `grammar` is the form its input must have, which upstream can only be told in words.
    pub(super) fn custom(
        &mut self,
        mut tool: Definition<'a>,
        grammar: Option<(&str, &str)>,
        at: &str,
    ) -> Result<(), ApiError> {
        if let Some((syntax, definition)) = grammar {
            let description = tool.description.as_deref().unwrap_or_default();
            let text = format!("{description}\nThe input must follow this {syntax} grammar:\n{definition}");
            tool.description = Some(text.trim_start().to_owned().into());
        }
        let input_schema = match json!({
            "type": "object",
            "properties": {"input": {"type": "string", "description": "The input of the tool, as plain text."}},
            "required": ["input"],
        }) {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        self.add(tool, input_schema, true, at)
    }

    fn add(
        &mut self,
        tool: Definition<'a>,
        input_schema: Map<String, Value>,
        custom: bool,
        at: &str,
    ) -> Result<(), ApiError> {
        let Definition { namespace, name: client_name, description, strict, cache_control, .. } = tool;
        if client_name.trim().is_empty() {
            let param = format!("{at}.name");
            let message = format!("{param}: must not be empty");
            return Err(ApiError::invalid_param(param, message));
        }
        let name = self.names.upstream(namespace.as_deref(), &client_name);
        if !self.taken.insert(name.clone()) {
            let param = format!("{at}.name");
            let message = format!("{param}: there is already a tool named {:?}", &*client_name);
            return Err(ApiError::invalid_param(param, message));
        }
        if custom || namespace.is_some() || name != *client_name {
            let namespace = namespace.map(|namespace| namespace.to_string());
            let client = ClientTool { name: client_name.to_string(), namespace, custom };
            self.names.by_upstream.insert(name.clone(), client);
        }
        if strict {
            self.strict.insert(name.clone(), format!("{at}.strict"));
        }
        let description = description.filter(|text| !text.trim().is_empty());
        self.list.push(Tool::Client { name, description, input_schema, strict, cache_control });
        Ok(())
    }

    /// Upstream's own web search. Comes before the client's tools, whose names must give way to it.
    pub(super) fn web_search(
        &mut self,
        allowed_domains: Vec<Str<'a>>,
        user_location: Option<UserLocation<'a>>,
    ) {
        if self.names.web_search_taken {
            return;
        }
        self.names.web_search_taken = true;
        self.taken.insert(WEB_SEARCH.to_owned());
        self.list.push(Tool::WebSearch {
            kind: "web_search_20250305",
            name: WEB_SEARCH,
            allowed_domains,
            user_location,
        });
    }

    /// A tool whose input is the answer, for models without structured output. Returns its name.
    pub(super) fn answer(
        &mut self,
        name: &str,
        description: Option<&str>,
        input_schema: Map<String, Value>,
    ) -> String {
        let mut name = upstream_name(name);
        while !self.taken.insert(name.clone()) {
            name = upstream_name(&format!("{name} answer"));
        }
        let meaning = description.unwrap_or_default();
        let text = format!("Gives the final answer. Its input is the answer. {meaning}");
        let description = Some(Str::owned(text.trim_end()));
        self.list.push(Tool::Client {
            name: name.clone(),
            description,
            input_schema,
            strict: false,
            cache_control: None,
        });
        name
    }

    /// Lets go of the strictness that upstream cannot give beside this schema of the answer and the tools before; returns
    /// every place where one was asked for and is not given.
    pub(super) fn loosen(&mut self, answer: Option<&Map<String, Value>>) -> Vec<String> {
        let mut budget = Budget::beside(answer);
        for tool in &mut self.list {
            if let Tool::Client { name, input_schema, strict: strict @ true, .. } = tool
                && !budget.take(input_schema)
            {
                *strict = false;
                self.loose.extend(self.strict.remove(name));
            }
        }
        std::mem::take(&mut self.loose)
    }

    /// `tool_choice` for upstream. Restricts the list where the client allowed only some tools.
    pub(super) fn choose(
        &mut self,
        choice: Option<Choice>,
        parallel: Option<bool>,
    ) -> Result<Option<ToolChoice>, ApiError> {
        if self.list.is_empty() {
            return Ok(None);
        }
        let disable_parallel_tool_use = parallel == Some(false);
        Ok(Some(match choice {
            None if !disable_parallel_tool_use => return Ok(None),
            None | Some(Choice::Auto) => ToolChoice::Auto { disable_parallel_tool_use },
            Some(Choice::None) => ToolChoice::None,
            Some(Choice::Required) => ToolChoice::Any { disable_parallel_tool_use },
            Some(Choice::Named(name)) => {
                self.check_known(&name)?;
                ToolChoice::Tool { name, disable_parallel_tool_use }
            }
            Some(Choice::Allowed { required, names }) => {
                for name in &names {
                    self.check_known(name)?;
                }
                let allowed: HashSet<&str> = names.iter().map(String::as_str).collect();
                self.list.retain(|tool| allowed.contains(tool.name()));
                match (self.list.is_empty(), required) {
                    (true, _) => return Ok(None),
                    (false, true) => ToolChoice::Any { disable_parallel_tool_use },
                    (false, false) => ToolChoice::Auto { disable_parallel_tool_use },
                }
            }
        }))
    }

    fn check_known(&self, name: &str) -> Result<(), ApiError> {
        if self.taken.contains(name) {
            return Ok(());
        }
        let client = self.names.client(name).map_or(name, |tool| tool.name.as_str());
        Err(ApiError::invalid_param("tool_choice", format!("tool_choice: there is no tool named {client:?}")))
    }
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
