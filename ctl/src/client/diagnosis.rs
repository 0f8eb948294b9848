//! The call that looks for what is wrong.

use proxy_proto::v1::diagnosis_client::DiagnosisClient;
use proxy_proto::v1::{DiagnoseRequest, Finding};

use super::{Client, PROVIDER};
use crate::error::{Error, Operation};

impl Client {
    /// What the daemon finds of itself, its machine and the provider.
    pub(crate) async fn diagnose(&self) -> Result<Vec<Finding>, Error> {
        let mut diagnosis = DiagnosisClient::new(self.channel.clone());
        let reply = self.call(Operation::Diagnose, PROVIDER, diagnosis.diagnose(DiagnoseRequest {})).await?;
        Ok(reply.findings)
    }
}
