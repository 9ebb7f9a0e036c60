//! The page that opens Toss's payment window, and says how the payment stands. What the fan types, he types into the window.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{documents::text::escaped, domain::money::Money};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b;\
    background:#fff}h1{font-size:1.4rem}dt{color:#595959}dd{margin:0 0 .8rem;overflow-wrap:anywhere}button{font:inherit;\
    padding:.7rem 1.6rem;border:1px solid #14532d;border-radius:.4rem;background:#14532d;color:#fff}";

/// Toss's own script, which draws the window.
const SDK: &str = "https://js.tosspayments.com/v2/standard";

/// Constant, so that the policy names it by its hash: what changes stands in the button's attributes.
const SCRIPT: &str = "const b=document.getElementById('pay');b.addEventListener('click',async()=>{const d=b.dataset;b.disabled=true;\
    try{await TossPayments(d.clientKey).payment({customerKey:TossPayments.ANONYMOUS}).requestPayment({method:'CARD',\
    amount:{currency:d.currency,value:Number(d.amount)},orderId:d.session,orderName:d.name,successUrl:d.paid,failUrl:d.failed});}\
    catch(e){b.disabled=false;}});";

/// What the page shows.
pub struct Bill<'a> {
    /// Toss's `orderId`.
    pub session: &'a str,
    pub reference: &'a str,
    pub amount: Money,
    /// What is paid for.
    pub name: &'a str,
    pub shop_url: &'a str,
    /// Where the shop wants the fan back.
    pub return_url: &'a str,
    pub client_key: &'a str,
    pub state: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Open,
    /// The fan has agreed; the money is being taken.
    Waits,
    Paid,
    Declined,
    Refunded,
}

pub fn render(bill: &Bill<'_>) -> String {
    let (title, rest) = match bill.state {
        Shown::Open => ("Pay with Toss", button(bill)),
        Shown::Waits => ("Being checked", "<p>Your payment is being checked. You need not pay again.</p>".to_owned()),
        Shown::Paid => ("Paid", "<p>Thank you. Your tickets are being made.</p>".to_owned()),
        Shown::Declined => ("Not paid", "<p>Nothing was paid, and this payment has ended.</p>".to_owned()),
        Shown::Refunded => ("Refunded", "<p>The money goes back.</p>".to_owned()),
    };
    let mut page = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><dl><dt>Order</dt><dd>{}</dd><dt>Amount</dt><dd>{}</dd></dl>{rest}"#,
        escaped(bill.reference),
        bill.amount,
    );
    if !bill.return_url.is_empty() {
        let _ = write!(page, r#"<p><a rel="noreferrer" href="{}">Back to the shop</a></p>"#, escaped(bill.return_url));
    }
    page.push_str("</main></body></html>");
    page
}

fn button(bill: &Bill<'_>) -> String {
    let [session, name, shop_url, client_key] = [bill.session, bill.name, bill.shop_url, bill.client_key].map(escaped);
    let Money { minor, currency } = bill.amount;
    format!(
        r#"<p><button id="pay" data-client-key="{client_key}" data-currency="{currency}" data-amount="{minor}" data-session="{session}" data-name="{name}" data-paid="{shop_url}/toss/paid/{session}" data-failed="{shop_url}/toss/failed/{session}">Pay</button></p><script src="{SDK}"></script><script>{SCRIPT}</script>"#
    )
}

/// Our own style and script, and Toss's script with what it loads.
pub fn content_security_policy() -> String {
    let hash = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}' https://js.tosspayments.com; \
         connect-src https://*.tosspayments.com; frame-src https://*.tosspayments.com; img-src https://*.tosspayments.com; \
         form-action https://*.tosspayments.com; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(state: Shown) -> Bill<'static> {
        Bill {
            session: "s1",
            reference: r#"<script>alert("x")</script>"#,
            amount: Money { minor: 50_000, currency: "KRW".parse().expect("a currency") },
            name: r#"Concert" onclick="x"#,
            shop_url: "https://shop.example",
            return_url: r#"https://shop.example/?a=1&b="><img src=x>"#,
            client_key: "test_ck_1",
            state,
        }
    }

    #[test]
    fn nothing_that_came_from_outside_is_markup() {
        for state in [Shown::Open, Shown::Waits, Shown::Paid, Shown::Declined, Shown::Refunded] {
            let page = render(&bill(state));
            assert!(
                !page.contains("<script>alert") && !page.contains("<img") && !page.contains(r#"" onclick="#),
                "{page}"
            );
            assert!(page.contains("50000 KRW"), "{page}");
        }
    }

    #[test]
    fn only_an_open_bill_opens_the_window_and_no_field_takes_a_card() {
        for state in [Shown::Open, Shown::Waits, Shown::Paid, Shown::Declined, Shown::Refunded] {
            let page = render(&bill(state));
            assert_eq!(page.contains("tosspayments.com"), state == Shown::Open, "{state:?}");
            assert!(!page.contains("<input") && !page.contains("<form"), "{page}");
        }
        let page = render(&bill(Shown::Open));
        assert!(page.contains(r#"data-paid="https://shop.example/toss/paid/s1""#), "{page}");
    }
}
