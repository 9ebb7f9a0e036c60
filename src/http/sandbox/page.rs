//! The sandbox provider's hosted page: plain HTML, no script, everything escaped.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    documents::text::escaped,
    domain::money::{Currency, Money},
    stores::database::sandbox::Card,
};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b;\
    background:#fff}h1{font-size:1.4rem}dt{color:#595959}dd{margin:0 0 .8rem;overflow-wrap:anywhere}button{font:inherit;\
    padding:.7rem 1.6rem;margin-right:.6rem;border:1px solid #1b1b1b;border-radius:.4rem;background:#fff;color:#1b1b1b}\
    button.pay{background:#14532d;color:#fff;border-color:#14532d}";

/// What the page shows.
pub struct Bill<'a> {
    pub session: &'a str,
    pub reference: &'a str,
    pub amount_minor: i64,
    pub currency: Currency,
    pub state: Shown,
    /// Where the shop wants the fan back.
    pub return_url: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Open,
    Paid,
    Declined,
    Cancelled,
    Refunded,
}

pub fn render(bill: &Bill<'_>) -> String {
    let (title, rest) = match bill.state {
        Shown::Open => (
            "Pay with the sandbox",
            format!(
                r#"<p>No money moves: this provider is for trying out.</p><form method="post" action="/sandbox/pay/{}"><p><label>Test card <select name="card">{}</select></label></p><button class="pay" name="outcome" value="pay">Pay</button><button name="outcome" value="decline">Decline</button></form>"#,
                escaped(bill.session),
                cards(),
            ),
        ),
        Shown::Paid => ("Paid", String::from("<p>The shop is being told.</p>")),
        Shown::Declined => ("Declined", String::from("<p>Nothing was paid.</p>")),
        Shown::Cancelled => ("Cancelled", String::from("<p>The shop has closed this payment. Nothing was paid.</p>")),
        Shown::Refunded => ("Refunded", String::from("<p>The money went back.</p>")),
    };
    let mut page = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><dl><dt>Order</dt><dd>{}</dd><dt>Amount</dt><dd>{}</dd></dl>{rest}"#,
        escaped(bill.reference),
        Money { minor: bill.amount_minor, currency: bill.currency },
    );
    if bill.state != Shown::Open && !bill.return_url.is_empty() {
        let _ = write!(page, r#"<p><a rel="noreferrer" href="{}">Back to the shop</a></p>"#, escaped(bill.return_url));
    }
    page.push_str("</main></body></html>");
    page
}

/// No number is typed here: a real one never gets in.
fn cards() -> String {
    let option = |(_, name, number): &(Card, &str, &str)| {
        format!(r#"<option value="{number}">{number} {}</option>"#, name.replace('_', " "))
    };
    Card::ALL.iter().map(option).collect()
}

/// Only our own style, and a form that stays here.
pub fn content_security_policy() -> String {
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(state: Shown) -> Bill<'static> {
        Bill {
            session: "s1",
            reference: r#"<script>alert("x")</script>"#,
            amount_minor: 1250,
            currency: Currency::EUR,
            state,
            return_url: r#"https://shop.example/?a=1&b="><img src=x onerror='x'>"#,
        }
    }

    #[test]
    fn nothing_that_came_from_outside_is_markup() {
        for state in [Shown::Open, Shown::Paid, Shown::Declined, Shown::Cancelled, Shown::Refunded] {
            let page = render(&bill(state));
            assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("onerror='"), "{page}");
            assert!(page.contains("&lt;script&gt;") && page.contains("12.50 EUR"), "{page}");
        }
    }

    #[test]
    fn only_an_open_bill_can_be_paid_and_only_a_settled_one_leads_back() {
        assert!(
            render(&bill(Shown::Open)).contains("<form") && !render(&bill(Shown::Open)).contains("Back to the shop")
        );
        for state in [Shown::Paid, Shown::Declined, Shown::Cancelled, Shown::Refunded] {
            assert!(
                !render(&bill(state)).contains("<form") && render(&bill(state)).contains("Back to the shop"),
                "{state:?}"
            );
        }
    }
}
