//! Images and files of client requests as sources upstream takes. Nothing is fetched and nothing is stored
//! here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::error::ApiError;
use crate::wire::json::Str;
use crate::wire::messages::{Block, Source};

/// How a base64 PDF begins (`%PDF-`).
const PDF_HEAD: &str = "JVBERi";

/// An image part's URL as an image block. `param` names the field in errors.
pub(super) fn image<'a>(url: &Str<'a>, param: &str) -> Result<Block<'a>, ApiError> {
    Ok(Block::Image { source: image_source(url, param)?, cache_control: None })
}

fn image_source<'a>(url: &Str<'a>, param: &str) -> Result<Source<'a>, ApiError> {
    if let Some(data) = DataUrl::parse(url) {
        let declared = match data.media_type.to_ascii_lowercase().as_str() {
            "image/jpeg" | "image/jpg" => "image/jpeg",
            "image/png" => "image/png",
            "image/gif" => "image/gif",
            "image/webp" => "image/webp",
            other => {
                return Err(unsupported(param, &format!("image type {other:?}: use JPEG, PNG, GIF or WebP")));
            }
        };
        if !data.base64 {
            return Err(unsupported(param, "image data URL that is not base64"));
        }
        // Upstream refuses an image whose bytes are of another type than it is told, or of none that it knows.
        let Some(media_type) = sniff(&data.payload) else {
            let text = format!(
                "image data: it is no JPEG, PNG, GIF or WebP in base64, though its type is {declared}"
            );
            return Err(unsupported(param, &text));
        };
        return Ok(Source::Base64 { media_type, data: data.payload });
    }
    https(url, param, "image")
}

/// A file given by its content; a picture is an image.
pub(super) fn file<'a>(data: &Str<'a>, name: Option<Str<'a>>, param: &str) -> Result<Block<'a>, ApiError> {
    let source = if let Some(url) = DataUrl::parse(data) {
        if url.media_type.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("image/")) {
            return image(data, param);
        }
        file_source(url, param)?
    } else if data.starts_with(PDF_HEAD) {
        Source::Base64 { media_type: "application/pdf", data: unspaced(data.clone()) }
    } else {
        return Err(unsupported(param, "file data: give a data URL of a PDF, a text file or an image"));
    };
    let title = name.filter(|name| !name.trim().is_empty());
    Ok(Block::Document { source, title, cache_control: None })
}

fn file_source<'a>(data: DataUrl<'a>, param: &str) -> Result<Source<'a>, ApiError> {
    let media_type = data.media_type.to_ascii_lowercase();
    match media_type.as_str() {
        "application/pdf" if data.base64 => {
            Ok(Source::Base64 { media_type: "application/pdf", data: data.payload })
        }
        "application/json" => text_source(&data, param),
        text if text.starts_with("text/") => text_source(&data, param),
        other => Err(unsupported(param, &format!("file type {other:?}: use a PDF, a text file or an image"))),
    }
}

fn text_source(data: &DataUrl<'_>, param: &str) -> Result<Source<'static>, ApiError> {
    if !data.base64 {
        return Err(unsupported(param, "file data URL that is not base64"));
    }
    let bytes = STANDARD.decode(data.payload.trim()).map_err(|error| {
        ApiError::invalid_param(param, format!("{param}: the base64 data is broken: {error}"))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ApiError::invalid_param(param, format!("{param}: the text file is not UTF-8")))?;
    if text.trim().is_empty() {
        return Err(ApiError::invalid_param(param, format!("{param}: the file is empty")));
    }
    Ok(Source::Text { media_type: "text/plain", data: text })
}

/// A file given by its address.
pub(super) fn file_url<'a>(url: &Str<'a>, name: Option<Str<'a>>, param: &str) -> Result<Block<'a>, ApiError> {
    Ok(Block::Document { source: https(url, param, "file")?, title: name, cache_control: None })
}

fn https<'a>(url: &Str<'a>, param: &str, what: &str) -> Result<Source<'a>, ApiError> {
    const SCHEME: &str = "https://";
    if url.starts_with(SCHEME) {
        return Ok(Source::Url { url: url.clone() });
    }
    // In an address any case is right, but upstream knows only this one.
    if let Some((scheme, rest)) = url.split_at_checked(SCHEME.len())
        && scheme.eq_ignore_ascii_case(SCHEME)
    {
        return Ok(Source::Url { url: Str::owned(format!("{SCHEME}{rest}")) });
    }
    Err(unsupported(param, &format!("{what} address: use an https:// URL or a base64 data URL")))
}

fn unsupported(param: &str, what: &str) -> ApiError {
    ApiError::invalid_param(param, format!("{param}: unsupported {what}")).with_code("unsupported_content")
}

struct DataUrl<'a> {
    media_type: String,
    base64: bool,
    payload: Str<'a>,
}

impl<'a> DataUrl<'a> {
    /// `None` if `url` is no data URL at all.
    fn parse(url: &Str<'a>) -> Option<Self> {
        let head_end = url.find(',')?;
        let head = url.get(..head_end)?;
        let head = head.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and(head.get(5..))?;
        let mut parameters = head.split(';');
        let media_type = parameters.next().unwrap_or_default().trim().to_owned();
        let base64 = parameters.any(|parameter| parameter.trim().eq_ignore_ascii_case("base64"));
        let payload = tail(url, head_end + 1);
        Some(Self { media_type, base64, payload: if base64 { unspaced(payload) } else { payload } })
    }
}

/// `text` from `start` on, still borrowed if it was.
fn tail<'a>(text: &Str<'a>, start: usize) -> Str<'a> {
    match &text.0 {
        std::borrow::Cow::Borrowed(text) => Str::borrowed(text.get(start..).unwrap_or_default()),
        std::borrow::Cow::Owned(text) => Str::owned(text.get(start..).unwrap_or_default()),
    }
}

/// Base64 without the line ends that many encoders put into it, and upstream refuses.
fn unspaced(base64: Str<'_>) -> Str<'_> {
    if base64.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Str::owned(base64.split_ascii_whitespace().collect::<String>());
    }
    base64
}

/// The image type the first bytes tell, if they are those of a type upstream takes.
fn sniff(base64: &str) -> Option<&'static str> {
    let head = STANDARD.decode(base64.get(..16)?).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image_of(url: &str) -> Result<String, String> {
        image(&Str::borrowed(url), "p")
            .map(|block| serde_json::to_string(&block).unwrap())
            .map_err(|error| error.message)
    }

    fn file_of(data: &str) -> Result<String, String> {
        file(&Str::borrowed(data), Some("a.txt".into()), "p")
            .map(|block| serde_json::to_string(&block).unwrap())
            .map_err(|error| error.message)
    }

    #[test]
    fn images_become_sources() {
        let png = "iVBORw0KGgoAAAANSUhEUgAA";
        let expected = format!(
            r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{png}"}}}}"#
        );
        assert_eq!(image_of(&format!("data:image/png;base64,{png}")).unwrap(), expected);
        assert_eq!(image_of(&format!("DATA:image/jpg;base64,{png}")).unwrap(), expected, "the bytes say PNG");
        assert_eq!(
            image_of("https://x.test/a.png").unwrap(),
            r#"{"type":"image","source":{"type":"url","url":"https://x.test/a.png"}}"#
        );
        assert_eq!(image_of("HTTPS://x.test/a.png").unwrap(), image_of("https://x.test/a.png").unwrap());
        let (start, end) = png.split_at(10);
        assert_eq!(image_of(&format!("data:image/png;base64, {start}\n{end}\r\n")).unwrap(), expected);
    }

    #[test]
    fn images_upstream_would_refuse_are_refused_here() {
        for url in [
            "data:image/bmp;base64,AAAA",
            "data:image/png,AAAA",
            "data:image/png;base64,AAAAAAAAAAAAAAAA",
            "data:image/png;base64,!!!!",
            "data:image/png;base64,",
            "data:;base64,AAAA",
            "http://x.test/a.png",
            "file:///etc/passwd",
            "",
            "https",
        ] {
            let message = image_of(url).unwrap_err();
            assert!(message.starts_with("p: unsupported image"), "{url}: {message}");
        }
    }

    #[test]
    fn files_become_documents() {
        assert_eq!(
            file_of("data:application/pdf;base64,JVBERi0x").unwrap(),
            r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0x"},"title":"a.txt"}"#
        );
        assert_eq!(file_of("JVBERi0x").unwrap(), file_of("data:application/pdf;base64,JVBERi0x").unwrap());
        assert_eq!(
            file_of("JVBERi0x").unwrap(),
            file_of("data:application/pdf;base64,JVBE\nRi0x\n").unwrap()
        );
        assert_eq!(
            file_of("data:text/markdown;charset=utf-8;base64,aGk=").unwrap(),
            r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hi"},"title":"a.txt"}"#
        );
        let picture = "data:image/gif;base64,R0lGODlhAQABAAAA";
        assert_eq!(file_of(picture).unwrap(), image_of(picture).unwrap());
        for data in [
            "data:image/bmp;base64,AAAA",
            "data:application/zip;base64,AAAA",
            "AAAA",
            "data:text/plain;base64,***",
            "data:text/plain;base64,/w==",
            "data:text/plain;base64,IA==",
        ] {
            assert!(file_of(data).unwrap_err().starts_with("p:"), "{data}");
        }
    }
}
