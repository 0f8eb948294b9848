//! What `accounts import` and `accounts export` print.

use proxy_proto::v1;
use serde::Serialize;

use super::{Account, text};

/// `accounts import`: ends with 1 if a file was refused.
#[derive(Debug, Serialize)]
pub struct Imported {
    /// One entry a file that is named like an account's, in the order of names.
    pub files: Vec<ImportedFile>,
}

#[derive(Debug, Serialize)]
pub struct ImportedFile {
    /// The file that was read.
    pub path: String,
    /// `added`, `updated` (the account that was here holds the newer tokens now), `unchanged` (it is as new or newer) or
    /// `refused`.
    pub outcome: &'static str,
    /// Why it was refused, or what a person should know all the same.
    pub reason: Option<String>,
    /// The account as it is now; null where the file was refused.
    pub account: Option<Account>,
}

/// `accounts export`.
#[derive(Debug, Serialize)]
pub struct Exported {
    pub id: String,
    /// The file that was written.
    pub path: String,
}

impl From<v1::ImportAccountsResponse> for Imported {
    fn from(reply: v1::ImportAccountsResponse) -> Self {
        Self { files: reply.files.into_iter().map(ImportedFile::from).collect() }
    }
}

impl From<v1::ImportedFile> for ImportedFile {
    fn from(file: v1::ImportedFile) -> Self {
        let outcome = match file.outcome() {
            v1::ImportOutcome::Added => "added",
            v1::ImportOutcome::Updated => "updated",
            v1::ImportOutcome::Unchanged => "unchanged",
            v1::ImportOutcome::Refused => "refused",
            v1::ImportOutcome::Unspecified => "unknown",
        };
        Self { outcome, path: file.path, reason: text(file.reason), account: file.account.map(Account::from) }
    }
}

impl From<v1::ExportAccountResponse> for Exported {
    fn from(v1::ExportAccountResponse { id, path }: v1::ExportAccountResponse) -> Self {
        Self { id, path }
    }
}
