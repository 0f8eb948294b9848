//! temp
use super::Prepared;
use crate::wire::error::ApiError;
use crate::wire::sse;
use bytes::BytesMut;
#[derive(Clone, Debug)]
pub struct Reply;
pub fn to_messages(_body: &[u8]) -> Result<Prepared<Reply>, ApiError> {
    Err(ApiError::not_found("temp"))
}
pub fn from_messages(_body: &[u8], _reply: &Reply, _created: i64) -> Result<Vec<u8>, ApiError> {
    Err(ApiError::not_found("temp"))
}
#[derive(Debug)]
pub struct Encoder;
impl Encoder {
    pub fn new(_: Reply, _: i64) -> Self {
        Self
    }
    pub fn on_event(&mut self, _: &sse::Event, _: &mut BytesMut) {}
    pub fn on_error(&mut self, _: &ApiError, _: &mut BytesMut) {}
    pub fn on_end(&mut self, _: &mut BytesMut) {}
    pub fn is_done(&self) -> bool {
        true
    }
}
