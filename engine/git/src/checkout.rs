//! The files of a commit, into the directory.

use std::cell::RefCell;

use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, ErrorClass, ErrorCode, Repository};

use crate::progress::Pace;
use crate::session::Session;
use crate::{GitError, Report};

/// Writes what `HEAD` stands for.
pub(crate) fn checkout(
    repository: &Repository,
    url: &str,
    session: &Session,
    report: &mut dyn FnMut(Report),
) -> Result<(), GitError> {
    let pace = RefCell::new(Pace::new());
    let report = RefCell::new(report);
    let mut options = CheckoutBuilder::new();
    options
        .force()
        .progress(|_, done, total| {
            if pace.borrow_mut().is_due() {
                report.borrow_mut()(Report::Progress(format!("written {done} of {total} files")));
            }
        })
        .notify_on(CheckoutNotificationType::UPDATED)
        // The only call that can end it: whoever returns false.
        .notify(|_, _, _, _, _| !session.is_cancelled());
    repository.checkout_head(Some(&mut options)).map_err(|error| {
        session.explain(&error, |error| GitError::Checkout { url: url.to_owned(), reason: reason(error) })
    })
}

/// What libgit2 says, with its own way of saying that a path is malicious put into words.
fn reason(error: &git2::Error) -> String {
    let text = error.message();
    if error.code() == ErrorCode::User {
        return "the checkout was ended".to_owned();
    }
    if error.class() == ErrorClass::Filesystem
        || text.contains("invalid path")
        || text.contains("invalid entry")
    {
        return format!(
            "{text}\nhint: the repository may hold paths that are made to do harm; look at it before you use it"
        );
    }
    text.to_owned()
}
