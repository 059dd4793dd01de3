use super::*;

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, body: body.to_owned().into() }
}

fn check_product(status: u16, body: &str, expected: Result<&str, &str>) {
    let product = product_of(&answer(status, body));
    assert_eq!(product.as_deref().map_err(String::as_str), expected, "{status} {body}");
}

#[test]
fn a_dashboard_is_known_by_its_model() {
    check_product(200, r#"{"token":"t","product_name":"lab","pid":7}"#, Ok("lab"));
    check_product(200, "<html>", Err("it does not answer as a dashboard"));
    check_product(200, r#"{"token":"t"}"#, Err("it does not answer as a dashboard"));
    check_product(404, "404 page not found", Err("it answers with status 404"));
}

#[test]
fn the_cause_of_a_refusal_is_told() {
    let body = r#"{"Cause":"check xauth failed","Stack":null}"#;
    assert_eq!(succeeded(&answer(800, body)), Err("it refuses: check xauth failed".to_owned()));
}
