//! The fields of a Responses request.

use super::{Field, Table, answered, dropped, mapped, needless, refused};

pub const RESPONSES: Table =
    Table { title: "Responses", path: "POST /v1/responses", fields: FIELDS, same: SAME };

/// Outputs have the parts of messages; tools stand in three places.
const SAME: &[(&str, &str)] = &[
    ("input[].output[]", "input[].content[]"),
    ("input[].tools[]", "tools[]"),
    ("tools[].tools[]", "tools[]"),
];

const NO_COUNTERPART: &str = "Claude has no such setting.";
const CACHE_LIFE: &str =
    "Claude keeps what it cached for five minutes since its last use; `cache_control` can ask for an hour.";
const ANTHROPICS: &str = "Anthropic's own marker, passed on as it is.";
const OF_AN_ANSWER: &str = "What an earlier answer said about itself.";
const AT_ONCE: &str = "A call waits for its output.";
const CALLER: &str = "Calls come from the model alone.";

const FIELDS: &[Field] = &[
    mapped(
        "model",
        r#""claude-opus-5(high)""#,
        "`model`, after aliases and prefixes. A suffix in round brackets is a level of reasoning, or a number of thinking tokens.",
    ),
    dropped("access_programs", r#"{"cyber":"standard"}"#, NO_COUNTERPART),
    refused("background", "true", "An answer is given at once."),
    dropped("background_options", r#"{"completion_window":"2h"}"#, "As background."),
    dropped("context_management", r#"[{"type":"compaction"}]"#, "The conversation goes up as it is."),
    refused("conversation", r#""conv_1""#, "There is no store of conversations; send the items in input."),
    dropped("image", r#"{"context_compression":"enabled"}"#, NO_COUNTERPART),
    needless(
        "include",
        r#"["reasoning.encrypted_content"]"#,
        "reasoning.encrypted_content is there whether it is asked for or not.",
    ),
    dropped("include[]", r#""message.output_text.logprobs""#, "Anything else cannot be had."),
    mapped("input", r#""Hello""#, "`messages`: one user turn, or an item each."),
    mapped(
        "input[]",
        r#"{"role":"user","content":"Hello"}"#,
        "Messages, calls, their outputs, reasoning, additional_tools. What another server's own tools did is dropped; unknown types are a 400.",
    ),
    refused("input[].type", r#""computer_call""#, "Types of items that Claude has nothing of."),
    mapped(
        "input[].role",
        r#""user""#,
        "user and assistant become turns; system and developer become `system`, or a system message in its place where the model takes one. Unknown roles are a 400.",
    ),
    mapped("input[].content", r#""Hello""#, "Blocks of the turn."),
    mapped(
        "input[].content[].type",
        r#""input_text""#,
        "input_text, output_text, text, refusal, input_image, input_file; input_audio and unknown types are a 400.",
    ),
    mapped("input[].content[].text", r#""Hello""#, "A text block."),
    mapped("input[].content[].refusal", r#""No.""#, "A text block."),
    mapped(
        "input[].content[].image_url",
        r#""https://example.com/other.png""#,
        "An image block: https, or a data URL of a JPEG, PNG, GIF or WebP. Any other is a 400.",
    ),
    dropped("input[].content[].detail", r#""low""#, "Claude chooses the resolution; auto is no loss."),
    mapped(
        "input[].content[].file_data",
        r#""data:text/plain;base64,b3RoZXI=""#,
        "A document block of a PDF or a text, or an image block.",
    ),
    mapped("input[].content[].file_url", r#""https://example.com/other.pdf""#, "A document block."),
    mapped("input[].content[].filename", r#""other.txt""#, "The document's title."),
    refused("input[].content[].file_id", r#""file-1""#, "There is no store of files; send file_data."),
    needless("input[].content[].annotations", r#"[{"type":"url_citation"}]"#, OF_AN_ANSWER),
    needless("input[].content[].logprobs", r#"[{"token":"a"}]"#, OF_AN_ANSWER),
    mapped(
        "input[].content[].prompt_cache_breakpoint",
        r#"{"mode":"explicit"}"#,
        "A cache marker on the part's block.",
    ),
    needless("input[].content[].prompt_cache_breakpoint.mode", r#""explicit""#, "There is only one mode."),
    dropped("input[].content[].prompt_cache_breakpoint.ttl", r#""30m""#, CACHE_LIFE),
    mapped("input[].content[].cache_control", r#"{"type":"ephemeral"}"#, ANTHROPICS),
    needless(
        "input[].id",
        r#""msg_1""#,
        "What an earlier answer said about itself. In an item_reference: the item of a stored response, which goes up in its place.",
    ),
    needless("input[].status", r#""completed""#, OF_AN_ANSWER),
    dropped("input[].phase", r#""commentary""#, NO_COUNTERPART),
    mapped(
        "input[].call_id",
        r#""toolu_1""#,
        "Says which call an output belongs to; one that no call bears is a 400.",
    ),
    mapped("input[].name", r#""other""#, "The called tool's name."),
    mapped("input[].namespace", r#""docs""#, "Part of the tool's name upstream."),
    mapped(
        "input[].arguments",
        r#""{\"a\": 1}""#,
        "`input` of a tool_use block. What is no JSON object goes up as text, under the one key arguments.",
    ),
    mapped("input[].input", r#""other""#, "The one string of a custom tool's `input`."),
    mapped("input[].output", r#""other""#, "The content of a tool_result block: text, images, files."),
    dropped("input[].caller", r#"{"type":"direct"}"#, CALLER),
    mapped(
        "input[].tools",
        r#"[{"type":"function","name":"other"}]"#,
        "`tools`, behind those of the request.",
    ),
    mapped(
        "input[].encrypted_content",
        r#""pxd1:thinking:m:eyJ0aGlua2luZyI6Im8iLCJzaWduYXR1cmUiOiJzIn0=""#,
        "Thinking that an earlier answer of proxyd's carried. Another provider's is dropped.",
    ),
    dropped(
        "input[].summary",
        r#"[{"type":"summary_text","text":"Hm."}]"#,
        "Reasoning goes back in encrypted_content alone; beside it this is a copy, and no loss.",
    ),
    dropped("input[].async", "true", AT_ONCE),
    needless("input[].parsed_arguments", r#"{"a":1}"#, "What the official package made of the arguments."),
    needless("input[].content[].parsed", r#"{"a":1}"#, "What the official package made of an answer's text."),
    mapped("instructions", r#""Be brief.""#, "The first system block."),
    mapped(
        "max_output_tokens",
        "100",
        "`max_tokens`, at most what the model can. Not given: 32000, or what the model can.",
    ),
    dropped("max_tool_calls", "3", NO_COUNTERPART),
    answered("metadata", r#"{"a":"b"}"#, "Repeated in the response."),
    dropped(
        "moderation",
        r#"{"model":"omni-moderation-latest"}"#,
        "There is no moderation beside Claude's own.",
    ),
    mapped("parallel_tool_calls", "false", "false: `disable_parallel_tool_use`."),
    answered(
        "previous_response_id",
        r#""resp_1""#,
        "Its conversation goes in front of the input. A response that is not stored is a 400.",
    ),
    refused("prompt", r#"{"id":"pmpt_1"}"#, "There is no store of prompts; send the text."),
    mapped(
        "prompt_cache_key",
        r#""session-1""#,
        "Keeps the conversation with one account, where its cache is. It is not sent.",
    ),
    mapped("prompt_cache_options", r#"{"mode":"explicit"}"#, "How the prompt is marked to be cached."),
    mapped("prompt_cache_options.mode", r#""explicit""#, "explicit: no cache markers but the client's own."),
    dropped("prompt_cache_options.ttl", r#""30m""#, CACHE_LIFE),
    dropped("prompt_cache_options.comparison_response_id", r#""resp_1""#, NO_COUNTERPART),
    dropped("prompt_cache_options.prewarm", "true", NO_COUNTERPART),
    dropped("prompt_cache_retention", r#""24h""#, CACHE_LIFE),
    mapped("reasoning", r#"{"effort":"high"}"#, "How the model thinks."),
    mapped(
        "reasoning.effort",
        r#""high""#,
        "`thinking` and `output_config.effort`, or a budget on models that have one. Dropped in a tool loop that lost its thinking on these, and where the model's name has another suffix.",
    ),
    answered(
        "reasoning.summary",
        r#""auto""#,
        "The thinking is shown as the summary, where one is asked for.",
    ),
    answered("reasoning.generate_summary", r#""auto""#, "The older name of summary."),
    dropped("reasoning.context", r#""all_turns""#, "Claude decides which earlier thinking it reads."),
    dropped("reasoning.mode", r#""pro""#, NO_COUNTERPART),
    mapped("safety_identifier", r#""u1""#, "As user."),
    dropped("service_tier", r#""flex""#, "auto and default are what happens anyway."),
    answered(
        "store",
        "false",
        "Whether the response can be read, deleted and gone on from later. true is dropped where the store is switched off.",
    ),
    mapped("stream", "true", "`stream`."),
    needless("stream_options", "{}", "Holds nothing but include_obfuscation."),
    dropped("stream_options.include_obfuscation", "true", "Events are not padded."),
    mapped(
        "temperature",
        "0.5",
        "`temperature`; above 1 it is sent as 1 and named as dropped. Dropped where the model takes none, or thinks.",
    ),
    mapped("text", r#"{"format":{"type":"json_object"}}"#, "The form of the answer."),
    mapped("text.format", r#"{"type":"json_object"}"#, "`output_config.format`."),
    mapped(
        "text.format.type",
        r#""json_schema""#,
        "text, json_object (told to the model in words) or json_schema; any other is a 400.",
    ),
    mapped(
        "text.format.name",
        r#""other""#,
        "The name of the tool that answers, on models without structured output; elsewhere nothing needs it.",
    ),
    mapped("text.format.description", r#""A person.""#, "The schema's description, unless it has one."),
    mapped(
        "text.format.schema",
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        "The schema. Keywords that Claude refuses go into the description in words; a recursive schema is a 400.",
    ),
    needless("text.format.strict", "true", "The schema always binds."),
    dropped("text.verbosity", r#""low""#, NO_COUNTERPART),
    mapped(
        "tool_choice",
        r#"{"type":"function","name":"look"}"#,
        "`tool_choice`: auto, none, required, a tool, or allowed_tools (the others are not sent). auto is sent, and this named as dropped, where the model cannot be forced.",
    ),
    mapped("tools", r#"[{"type":"function","name":"other"}]"#, "`tools`."),
    refused(
        "tools[].type",
        r#""code_interpreter""#,
        "Types other than function, custom, namespace and web_search.",
    ),
    mapped(
        "tools[].name",
        r#""other""#,
        "Changed where Claude does not take its characters, and back in answers; a namespace stands in front of its tools' names.",
    ),
    mapped("tools[].description", r#""Sees.""#, "The tool's description; that of a namespace is dropped."),
    mapped(
        "tools[].parameters",
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        "`input_schema`. Alternatives at its top are put together, since Claude takes none there.",
    ),
    mapped(
        "tools[].strict",
        "true",
        "`strict`, where the model has it and the schema is within what it can bind; dropped elsewhere.",
    ),
    dropped("tools[].allowed_callers", r#"["direct"]"#, CALLER),
    dropped("tools[].defer_loading", "true", "All tools are sent."),
    dropped("tools[].output_schema", r#"{"type":"object"}"#, NO_COUNTERPART),
    mapped(
        "tools[].format",
        r#"{"type":"grammar","syntax":"lark","definition":"start: Y"}"#,
        "Told to the model in a custom tool's description.",
    ),
    needless("tools[].format.type", r#""grammar""#, "Told by whether a grammar is there."),
    mapped("tools[].format.definition", r#""start: Z""#, "In the tool's description."),
    mapped("tools[].format.syntax", r#""regex""#, "In the tool's description."),
    dropped("tools[].async", "true", AT_ONCE),
    mapped("tools[].tools", r#"[{"type":"function","name":"f"}]"#, "A namespace's tools."),
    mapped(
        "tools[].filters",
        r#"{"allowed_domains":["example.com"]}"#,
        "`allowed_domains` of the web search.",
    ),
    mapped("tools[].filters.allowed_domains", r#"["example.com"]"#, "`allowed_domains`."),
    mapped(
        "tools[].user_location",
        r#"{"type":"approximate","city":"Bern"}"#,
        "`user_location` of the web search.",
    ),
    needless("tools[].user_location.type", r#""approximate""#, "There is only one type."),
    mapped("tools[].user_location.city", r#""Bern""#, "`user_location`."),
    mapped("tools[].user_location.country", r#""CH""#, "`user_location`."),
    mapped("tools[].user_location.region", r#""Bern""#, "`user_location`."),
    mapped("tools[].user_location.timezone", r#""Europe/Zurich""#, "`user_location`."),
    dropped("tools[].search_context_size", r#""low""#, NO_COUNTERPART),
    dropped("tools[].search_content_types", r#"["text"]"#, NO_COUNTERPART),
    dropped("tools[].external_web_access", "true", NO_COUNTERPART),
    mapped("tools[].cache_control", r#"{"type":"ephemeral"}"#, ANTHROPICS),
    dropped("top_logprobs", "3", "Claude tells no probabilities."),
    mapped(
        "top_p",
        "0.5",
        "`top_p`, unless temperature is given, too: Claude takes one of them. Else as temperature.",
    ),
    dropped("truncation", r#""auto""#, "The conversation goes up whole; disabled is no loss."),
    mapped("user", r#""ann""#, "Its hash becomes `metadata.user_id`."),
];
