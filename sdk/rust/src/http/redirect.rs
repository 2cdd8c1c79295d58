//! Following redirects.

use crate::{Error, Result};

use super::{Body, Http, Request, Response, Url};

/// What belongs to the host that it was meant for.
const FOR_ONE_HOST: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
/// What describes a body, and goes with it.
const OF_THE_BODY: [&str; 4] = ["content-type", "content-length", "content-encoding", "content-language"];

pub(super) fn follow(http: &Http<'_>, mut request: Request, limit: u32) -> Result<Response> {
    for _ in 0..=limit {
        let url: Url = request.url.parse()?;
        let response = http.send(request.clone())?;
        let target = match (response.status(), response.header("location")) {
            (301..=303 | 307 | 308, Some(location)) => url.join(location)?,
            _ => return Ok(response),
        };
        request = next(request, &url, &target, response.status());
    }
    Err(Error::new(
        "http.redirects",
        format!("`{}` redirects more than {limit} times", without_query(&request.url)),
    ))
}

/// The request to `target` instead of `url`.
fn next(mut request: Request, url: &Url, target: &Url, status: u16) -> Request {
    // 307 and 308 promise that nothing changes; the others are answered with a GET by every browser, and by servers
    // that count on that.
    let changes = match status {
        303 => request.method != "HEAD",
        301 | 302 => request.method == "POST",
        _ => false,
    };
    let without = |headers: &mut Vec<(String, String)>, names: &[&str]| {
        headers.retain(|(name, _)| !names.iter().any(|unwanted| name.eq_ignore_ascii_case(unwanted)));
    };
    if changes {
        "GET".clone_into(&mut request.method);
        request.body = Body::default();
        without(&mut request.headers, &OF_THE_BODY);
    }
    if !url.same_origin(target) {
        without(&mut request.headers, &FOR_ONE_HOST);
    }
    request.url = target.to_string();
    request
}

fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_changes_only_what_it_must() {
        let request = |method: &str| {
            Request::new(method, "https://a/x")
                .header("Authorization", "Bearer t")
                .header("Content-Type", "text/plain")
                .header("Accept", "*/*")
                .body("text")
        };
        for (method, status, target, expected) in [
            ("POST", 302, "https://a/y", "GET https://a/y Authorization,Accept"),
            ("POST", 303, "https://b/y", "GET https://b/y Accept"),
            ("PUT", 303, "https://a/y", "GET https://a/y Authorization,Accept"),
            ("PUT", 301, "https://a/y", "PUT https://a/y Authorization,Content-Type,Accept +body"),
            ("POST", 307, "https://a/y", "POST https://a/y Authorization,Content-Type,Accept +body"),
            ("POST", 308, "http://a/y", "POST http://a/y Content-Type,Accept +body"),
            ("HEAD", 303, "https://a/y", "HEAD https://a/y Authorization,Content-Type,Accept +body"),
        ] {
            let url = "https://a/x".parse().unwrap();
            let next = next(request(method), &url, &target.parse().unwrap(), status);
            let names: Vec<_> = next.headers.iter().map(|(name, _)| name.as_str()).collect();
            let body = if next.body.is_none() { "" } else { " +body" };
            assert_eq!(format!("{} {} {}{body}", next.method, next.url, names.join(",")), expected);
        }
    }
}
