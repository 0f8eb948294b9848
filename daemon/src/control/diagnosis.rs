//! The `Diagnosis` service.

use proxy_proto::v1::{self, DiagnoseRequest, DiagnoseResponse};
use tonic::{Request, Response, Status};

use super::{State, convert};

#[tonic::async_trait]
impl v1::diagnosis_server::Diagnosis for State {
    async fn diagnose(&self, _: Request<DiagnoseRequest>) -> Result<Response<DiagnoseResponse>, Status> {
        let findings = self.diagnosis.findings().await.into_iter().map(convert::finding).collect();
        Ok(Response::new(DiagnoseResponse { findings }))
    }
}
