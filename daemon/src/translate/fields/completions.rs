//! The fields of a request of the older completions.

use super::{Field, NO_COUNTERPART, Table, answered, dropped, mapped, refused};

pub const COMPLETIONS: Table =
    Table { title: "Completions (legacy)", path: "POST /v1/completions", fields: FIELDS, same: &[] };

const FIELDS: &[Field] = &[
    mapped(
        "model",
        r#""claude-opus-5(low)""#,
        "As in Chat Completions. Without a suffix the model thinks as little as it can: nobody would see it.",
    ),
    mapped(
        "prompt",
        r#""Say hi.""#,
        "One user turn: Claude answers it, and does not go on with its text. A list of one text is fine; several, and tokens, are a 400.",
    ),
    refused("best_of", "2", "Claude gives one choice; 1 is fine."),
    answered("echo", "true", "The prompt stands in front of the answer."),
    dropped("frequency_penalty", "0.5", NO_COUNTERPART),
    dropped("logit_bias", r#"{"50256":-100}"#, NO_COUNTERPART),
    dropped("logprobs", "3", "Claude tells no probabilities; the answer's logprobs are null."),
    mapped(
        "max_tokens",
        "100",
        "`max_tokens`, at most what the model can. Not given: 32000, or what the model can, and not the 16 of the original, which cut any answer.",
    ),
    refused("n", "2", "Claude gives one choice; 1 is fine."),
    dropped("presence_penalty", "0.5", NO_COUNTERPART),
    dropped("seed", "7", NO_COUNTERPART),
    mapped("stop", r#"["END"]"#, "`stop_sequences`. One of white space alone is dropped: Claude refuses it."),
    mapped("stream", "true", "`stream`."),
    answered("stream_options", r#"{"include_usage":true}"#, "What a stream holds beside the answer."),
    answered("stream_options.include_usage", "true", "The stream ends with a chunk that holds the usage."),
    dropped("stream_options.include_obfuscation", "true", "Chunks are not padded."),
    refused("suffix", r#"" the end""#, "Claude does not fill gaps in a text."),
    mapped(
        "temperature",
        "0.5",
        "`temperature`; above 1 it is sent as 1 and named as dropped. Dropped where the model takes none, or thinks.",
    ),
    mapped(
        "top_p",
        "0.5",
        "`top_p`, unless temperature is given, too: Claude takes one of them. Else as temperature.",
    ),
    mapped("user", r#""ann""#, "Its hash becomes `metadata.user_id`."),
];
